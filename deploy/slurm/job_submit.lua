-- cleanhours in slurmctld: a batch job that opted in gets the start time of a plan that the controller wrote to a file.
-- It reads that one local file, waits for nothing and refuses nothing: whatever is missing, stale, broken or not
-- understood leaves a job as it was submitted. How to install it, and what the plan looks like: docs/slurm-admin.md
local PLAN = "/var/lib/cleanhours/slurm-plan"

local UNSET = 4294967294      -- Slurm's NO_VAL; UNLIMITED is one more
local MOST_CHARACTERS = 1024  -- Slurm refuses a job with a longer comment
local MOST_DELAY_S = 366 * 86400

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

local known_text, known_plan, fault, said

-- The plan in force; what is wrong with it is logged once, and once when it is well again.
local function plan_at(now)
  local text, why = read(PLAN)
  if text and text ~= known_text then
    known_text, known_plan, fault = text, parse(text)
  end
  if text then why = fault end
  if not why and now > known_plan["until"] then why = "the plan is stale" end
  if why ~= said then
    said = why
    slurm.log_info("%s", "cleanhours: " .. (why and why .. "; jobs are left as they are" or "the plan is well again"))
  end
  return not why and known_plan or nil
end

-- Jobs whose start is not ours to choose, whose length nobody knows, or whose wishes are not for here.
local function left_alone(job, script)
  return not script                                     -- salloc, srun: somebody sits and waits
    or job.priority == 0                                -- held
    or job.begin_time ~= 0                              -- its owner's own choice
    or job.reservation or job.cron_job                  -- theirs
    or (job.het_job_offset or UNSET) < UNSET            -- its parts start together
    or (job.time_limit or 0) == 0 or job.time_limit >= UNSET
    or script:find("\n#SBATCH[^\n]*%-%-dea")            -- --deadline kills, and only its text can be seen from here
    or script:find("\n#CARBON") or job.environment.CLEANHOURS_JOB -- words that cleanhours-sbatch reads
end

local function quoted(text)
  return (text:gsub("[^A-Za-z0-9._,:/@+-]", function(one) return string.format("%%%02X", one:byte()) end))
end

local function put_first(list, chosen)
  local found = chosen
  for word in list:gmatch("[^,]+") do
    if word ~= chosen then found = found .. "," .. word end
  end
  return found
end

local function usual_partition(parts)
  for name, part in pairs(parts) do
    if part.flag_default == 1 then return name end
  end
end

local function submitted(job, parts, now)
  local script, comment = job.script, job.comment or ""
  local wished, delay_s = wish(comment)
  if wished == false or left_alone(job, script and script:sub(1, 65536)) then return end
  local plan, partition = plan_at(now), job.partition or usual_partition(parts) or ""
  if not plan then return end
  local by_place, usual_s = opted_in(plan, {partition = partition, qos = job.qos or job.default_qos or "",
    account = job.account or job.default_account or ""})
  if not (wished or by_place) then return end
  delay_s = delay_s or usual_s or plan.delay

  -- Only who names several partitions offers several places. Of features and clusters the first tells where it is.
  local offered, words = named(plan, "partition", partition, parts)
  local home = offered[1] or named(plan, "feature", job.features)[1] or named(plan, "cluster", job.clusters)[1]
    or plan.home
  if not home or not delay_s or delay_s > MOST_DELAY_S then return end
  local locations = {[home] = true}
  for _, name in ipairs(offered) do locations[name] = true end
  local row = best(plan, locations, job.time_limit * 60, delay_s, now)
  if not row then return end

  local tag = string.format("cleanhours:v1;submitted=%d;home=%s;max-delay=%ds", now, quoted(home), delay_s)
  if #offered > 1 then
    tag = tag .. ";locations=" .. quoted(table.concat(offered, ",")) .. ";partition=" .. quoted(partition)
      .. (job.features and ";features=" .. quoted(job.features) or "")
  end
  comment = (comment == "" and "" or comment .. " ") .. tag
  if #comment > MOST_CHARACTERS then return end

  -- Everything is known: from here on nothing can fail halfway.
  job.comment = comment
  if job.dependency then
    slurm.log_user("%s", "cleanhours: is planned when what it depends on has ended; at once: --comment cleanhours:off")
    return
  end
  local place, saving = row.location, plan.savings[row.key]
  if #offered > 1 then
    -- First, not alone: Slurm refuses a job that fits nowhere, and where it fits cannot be seen from here.
    job.partition, place = put_first(partition, words[row.location]), place .. " if there is room"
  end
  if row.start > now then
    job.begin_time = row.start
    slurm.log_user("%s", "cleanhours: starts " .. local_time(row.start) .. " in " .. place
      .. (saving and saving >= 1 and string.format(", %.0f %% less carbon", saving) or "")
      .. "; at once: --comment cleanhours:off")
  else
    slurm.log_user("%s", "cleanhours: need not wait in " .. place)
  end
end

function slurm_job_submit(job, parts, _)
  local done, why = pcall(submitted, job, parts, os.time())
  if not done then pcall(slurm.log_info, "%s", "cleanhours: a job is left as it is: " .. tostring(why)) end
  return slurm.SUCCESS
end

function slurm_job_modify()
  return slurm.SUCCESS
end

return slurm.SUCCESS
