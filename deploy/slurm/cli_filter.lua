-- cleanhours at the command line: tells who submits a batch job without it what it would save. It changes no option and
-- refuses nothing. It reads the file that job_submit.lua reads, where the login nodes have it: docs/slurm-admin.md
local PLAN = "/var/lib/cleanhours/slurm-plan"

local WORTH_PERCENT = 5  -- less is not worth a line

-- The plan: from here to the next such line the same in job_submit.lua and cli_filter.lua -----------------------------
local FIRST_LINE, MOST_BYTES = "cleanhours-slurm-plan 1\n", 256 * 1024
local RECORDS = {
  written = "^(%d+)$", ["until"] = "^(%d+)$", delay = "^(%d+)$", home = "^(%S+)$", optin = "^(%l+) (%S+) ?(%d*)$",
  location = "^(%S+) (%l+) (%S+)$", start = "^(%d+) (%d+) (%d+) (%S+)$",
  saving = "^(%d+) (%d+) (%-?%d+%.?%d*) (%S+)$",
}
local UNITS = {m = 60, h = 3600, d = 86400}

local function read(path)
  local file, why = io.open(path, "rb")
  if not file then return nil, why end
  local text = file:read(MOST_BYTES + 1)
  file:close()
  return text or ""
end

-- A plan, or nil and what is wrong with it. Records that are not known are a later writer's, and passed over.
local function parse(text)
  local plan = {optin = {}, places = {}, starts = {}, savings = {}}
  if text:sub(1, #FIRST_LINE) ~= FIRST_LINE then return nil, "the plan is not one of version 1" end
  if #text > MOST_BYTES then return nil, "the plan is larger than 256 KiB" end
  if text:sub(-1) ~= "\n" then return nil, "the plan ends in the middle of a line" end
  for line in text:gmatch("([^\n]*)\n") do
    local word, rest = line:match("^(%l+) (.*)$")
    if RECORDS[word] then
      local a, b, c, d = rest:match(RECORDS[word])
      if not a then return nil, "the plan has a broken record " .. word end
      if word == "optin" then plan.optin[a .. " " .. b] = tonumber(c) or true
      elseif word == "location" then plan.places[b .. " " .. c] = a
      elseif word == "saving" then plan.savings[a .. " " .. b .. " " .. d] = tonumber(c)
      elseif word == "start" then
        local row = {duration = tonumber(a), delay = tonumber(b), start = tonumber(c), location = d}
        row.key, plan.starts[#plan.starts + 1] = a .. " " .. b .. " " .. d, row
      else plan[word] = word == "home" and a or tonumber(a) end
    end
  end
  if not (plan.written and plan["until"]) then return nil, "the plan does not say until when it holds" end
  return plan
end

-- What a comment says of us: true where it opts in, with the delay it names; false where it says what is not for here.
local function wish(comment)
  local wished, delay
  if comment:find("cleanhours:v1;", 1, true) then return false end
  for word in comment:gmatch("%S+") do
    if word:find("^cleanhours:") then
      local count, unit = word:match("^cleanhours:max%-delay=(%d+)([mhd])$")
      if not count then return false end
      wished, delay = true, tonumber(count) * UNITS[unit]
    elseif word == "cleanhours" then
      wished = true
    end
  end
  return wished, delay
end

-- Whether a job opts in by where it is submitted, and the shortest delay said there. Of several partitions all must:
-- in another one Slurm could start it at once.
local function opted_in(plan, lists)
  local wished, delay_s = false, nil
  for kind, list in pairs(lists) do
    local all, shortest = list ~= "", nil
    for name in list:gmatch("[^,]+") do
      local said = plan.optin[kind .. " " .. name]
      all = all and said
      if tonumber(said) then shortest = math.min(said, shortest or said) end
    end
    if all then wished = true end
    if all and shortest then delay_s = math.min(shortest, delay_s or shortest) end
  end
  return wished, delay_s
end

-- The locations that a job's text names, in its order, and by location the word that names it. `usable` may be nil.
local function named(plan, kind, text, usable)
  local names, words = {}, {}
  for word in (text or ""):gmatch(kind == "feature" and "[%w._-]+" or "[^,]+") do
    local location = plan.places[kind .. " " .. word]
    if location and not words[location] and (not usable or usable[word]) then
      names[#names + 1], words[location] = location, word
    end
  end
  return names, words
end

-- The first row of those for the shortest duration that is long enough, then the longest delay that is short enough.
local function best(plan, locations, duration_s, delay_s, now)
  local found
  for _, row in ipairs(plan.starts) do
    local fits = row.duration >= duration_s and row.delay <= delay_s and row.start <= now + delay_s
    if fits and locations[row.location] and (not found or row.duration < found.duration
      or (row.duration == found.duration and row.delay > found.delay)) then found = row end
  end
  return found
end

local function local_time(instant)
  return (os.date("%Y-%m-%dT%H:%M%z", instant):gsub("(%d%d)$", ":%1"))
end
------------------------------------------------------------------------------------------------------------------------

local NOT_GIVEN = {[""] = true, Unknown = true, unset = true, ["invalid-context"] = true}

local function given(options, name)
  local value = options[name]
  return value and not NOT_GIVEN[value] and value or nil
end

-- Slurm's [D-]HH:MM:SS; nil for none: an unset limit is shown as one of 8000 years.
local function seconds(text)
  local days, hours, minutes, rest = ("0-" .. (text or "")):match("(%d+)%-(%d+):(%d+):(%d+)$")
  local length = days and ((days * 24 + hours) * 60 + minutes) * 60 + rest
  return length and length > 0 and length < 366 * 86400 and length or nil
end

-- Slurm's local time; nil where it is none.
local function instant(text)
  local year, month, day, hour, min, sec = (text or ""):match("^(%d+)%-(%d+)%-(%d+)T(%d+):(%d+):(%d+)$")
  return year and os.time({year = year, month = month, day = day, hour = hour, min = min, sec = sec})
end

local function advice(options, now)
  if options.type ~= "sbatch" or given(options, "hold") or given(options, "clusters") then return end
  for _, name in ipairs({"begin", "reservation", "dependency", "test-only"}) do
    if given(options, name) then return end
  end
  local wished, delay_s = wish(given(options, "comment") or "")
  local limit_s = seconds(options.time)
  if wished == false or not limit_s or os.getenv("CLEANHOURS_JOB") then return end
  local text = read(PLAN)
  local plan = text and parse(text)
  if not plan or now > plan["until"] then return end

  local partition, deadline = given(options, "partition"), instant(given(options, "deadline"))
  local by_place, usual_s = opted_in(plan, {partition = partition or "", qos = given(options, "qos") or "",
    account = given(options, "account") or ""})
  delay_s = delay_s or usual_s or plan.delay
  if not delay_s then return end
  if wished or by_place then
    -- The one wish that job_submit.lua cannot see.
    if deadline and now + delay_s + limit_s > deadline then
      return "the site may delay this job beyond its --deadline, and Slurm would cancel it: --comment cleanhours:off"
    end
    return
  end
  local home = named(plan, "partition", partition)[1] or named(plan, "feature", given(options, "constraint"))[1]
    or plan.home
  local row = home and not deadline and best(plan, {[home] = true}, limit_s, delay_s, now)
  local saving = row and row.start > now and plan.savings[row.key]
  if saving and saving >= WORTH_PERCENT then
    return "started " .. local_time(row.start) .. " this job would emit " .. string.format("%.0f %%", saving)
      .. " less carbon: sbatch --comment cleanhours"
  end
end

function slurm_cli_pre_submit(options)
  local done, said = pcall(advice, options, os.time())
  if done and said then pcall(slurm.log_info, "%s", "cleanhours: " .. said) end
  return slurm.SUCCESS
end

function slurm_cli_setup_defaults()
  return slurm.SUCCESS
end

function slurm_cli_post_submit()
  return slurm.SUCCESS
end

return slurm.SUCCESS
