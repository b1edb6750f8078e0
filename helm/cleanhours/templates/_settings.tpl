{{/* cleanhours.toml, and the environment that lays secrets over it. */}}

{{/* A request word as the annotation would say it: a list with commas, no spaces, true and false as they are. */}}
{{- define "cleanhours.word" -}}
{{- if kindIs "slice" . -}}{{ join "," . }}{{- else -}}{{ toString . }}{{- end -}}
{{- end -}}
{{- define "cleanhours.words" -}}
{{- range $word, $value := . }}
{{ $word }}: {{ include "cleanhours.word" $value | quote }}
{{- end }}
{{- end -}}

{{/* The tables as YAML: what the values say, and `settings` over it. */}}
{{- define "cleanhours.settings" -}}
{{- $cluster := dict "type" "kubernetes" "topology_label" .Values.topologyLabel "lease" (include "cleanhours.leaseName" .) "kinds" (fromJsonArray (include "cleanhours.kinds" .)) -}}
{{- with .Values.home }}{{ $_ := set $cluster "location" . }}{{ end -}}
{{- with .Values.watchNamespaces }}{{ $_ := set $cluster "watch_namespaces" . }}{{ end -}}
{{- $admission := dict "mode" (include "cleanhours.admissionMode" .) -}}
{{- if eq $admission.mode "webhook" -}}
{{- $_ := merge $admission (dict
  "certificates" .Values.admission.webhook.certificates.mode
  "secret" (include "cleanhours.webhookSecret" .)
  "service" (include "cleanhours.webhookService" .)
  "configuration" (include "cleanhours.webhookConfigurationName" .)
) -}}
{{- end -}}
{{- $_ := set $cluster "admission" $admission -}}
{{- $namespaces := dict -}}
{{- range $name, $words := .Values.namespaces -}}
{{- $_ := set $namespaces $name (fromYaml (include "cleanhours.words" $words)) -}}
{{- end -}}
{{- if $namespaces }}{{ $_ := set $cluster "namespaces" $namespaces }}{{ end -}}
{{- $tree := dict
  "clusters" (dict "kubernetes" $cluster)
  "locations" (deepCopy .Values.locations)
  "forecasts" (deepCopy .Values.forecasts)
  "planning" (deepCopy .Values.planning)
  "defaults" (fromYaml (include "cleanhours.words" .Values.defaults))
  "admission" (dict "mode" (include "cleanhours.admissionMode" .))
  "metrics" (dict "listen" "0.0.0.0:9464")
  "state" (dict "folder" "/var/lib/cleanhours")
-}}
{{- toYaml (mergeOverwrite $tree (deepCopy .Values.settings)) -}}
{{- end -}}

{{/* What is watched and held, by plural, as JSON. */}}
{{- define "cleanhours.kinds" -}}
{{- $kinds := list "jobs" -}}
{{- range $value, $plurals := dict "jobset" (list "jobsets") "kubeflow" (include "cleanhours.kubeflow" . | fromJsonArray) "mpi" (list "mpijobs") "trainjob" (list "trainjobs") "rayjob" (list "rayjobs") "pods" (list "pods") -}}
{{- if index $.Values.kinds $value }}{{ $kinds = concat $kinds $plurals }}{{ end -}}
{{- end -}}
{{- toJson $kinds -}}
{{- end -}}
{{- define "cleanhours.kubeflow" -}}["pytorchjobs","tfjobs","xgboostjobs","paddlejobs","jaxjobs"]{{- end -}}

{{- define "cleanhours.toml" -}}
# Written by the chart: change its values instead. `cleanhours config show` says what is in force.
{{- include "cleanhours.toml.table" (dict "path" list "table" (fromYaml (include "cleanhours.settings" .))) }}
{{- end -}}

{{/*
A table of TOML and those inside it. JSON's texts, numbers and lists of texts are TOML's too; Helm's own `toToml` would
write every whole number as a float. Takes (dict "path" (list "clusters") "table" $map).
*/}}
{{- define "cleanhours.toml.table" -}}
{{- $all := . -}}
{{- $keys := keys .table | sortAlpha -}}
{{- $plain := list -}}
{{- $inner := list -}}
{{- range $key := $keys -}}
{{- $value := index $all.table $key -}}
{{- if kindIs "map" $value -}}
{{- if $value }}{{ $inner = append $inner $key }}{{ end -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $plain = append $plain $key -}}
{{- end -}}
{{- end -}}
{{- if and .path $plain }}

[{{ include "cleanhours.toml.name" .path }}]
{{- end -}}
{{- range $key := $plain }}
{{ include "cleanhours.toml.name" (list $key) }} = {{ index $all.table $key | toJson }}
{{- end -}}
{{- range $key := $inner -}}
{{- include "cleanhours.toml.table" (dict "path" (append $all.path $key) "table" (index $all.table $key)) -}}
{{- end -}}
{{- end -}}

{{- define "cleanhours.toml.name" -}}
{{- $names := list -}}
{{- range . -}}
{{- $names = append $names (ternary . (toJson .) (regexMatch "^[A-Za-z0-9_-]+$" .)) -}}
{{- end -}}
{{- join "." $names -}}
{{- end -}}

{{/* forecasts.sources.NAME.token → CLEANHOURS_FORECASTS__SOURCES__NAME__TOKEN */}}
{{- define "cleanhours.secretEnvironment" -}}
{{- range $setting, $from := .Values.secretSettings }}
- name: CLEANHOURS_{{ $setting | replace "." "__" | replace "-" "_" | upper }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.name | quote }}
      key: {{ $from.key | quote }}
{{- end }}
{{- if .Values.ledger.existingSecret.name }}
- name: CLEANHOURS_LEDGER__URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.ledger.existingSecret.name | quote }}
      key: {{ .Values.ledger.existingSecret.key | quote }}
{{- end }}
{{- end -}}

{{/* Every fault between values, in one message; what one value may be is said by values.schema.json. */}}
{{- define "cleanhours.check" -}}
{{- $faults := list -}}
{{- if and (gt (int .Values.replicaCount) 1) (not .Values.ledger.existingSecret.name) -}}
{{- $faults = append $faults (printf "replicaCount: found %d with a SQLite ledger, accepted: 1, or more with ledger.existingSecret.name naming a Secret with a PostgreSQL URL" (int .Values.replicaCount)) -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- $faults = append $faults "serviceMonitor.enabled, podMonitor.enabled: found both, accepted: one of them (every series would be scraped twice)" -}}
{{- end -}}
{{- if and .Values.home (not (hasKey .Values.locations .Values.home)) -}}
{{- $faults = append $faults (printf "home: found %q, accepted: one of locations (%s)" .Values.home (keys .Values.locations | sortAlpha | join ", " | default "none is configured")) -}}
{{- end -}}
{{- if dig "ledger" "url" "" .Values.settings -}}
{{- $faults = append $faults "settings.ledger.url: found a value, accepted: none; name a Secret in ledger.existingSecret" -}}
{{- end -}}
{{- if not (hasSuffix ":9464" (dig "metrics" "listen" "0.0.0.0:9464" .Values.settings)) -}}
{{- $faults = append $faults (printf "settings.metrics.listen: found %q, accepted: an address with port 9464, where probes and monitors ask" (toString .Values.settings.metrics.listen)) -}}
{{- end -}}
{{- range $path := include "cleanhours.secretsIn" (dict "path" list "table" (mergeOverwrite (dict "forecasts" (deepCopy .Values.forecasts)) (deepCopy .Values.settings))) | splitList "\n" -}}
{{- if $path -}}
{{- $faults = append $faults (printf "%s: found a secret among the values, accepted: secretSettings naming the Secret that holds it" $path) -}}
{{- end -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "the values are wrong:\n  %s" (join "\n  " $faults)) -}}
{{- end -}}
{{- end -}}

{{/* A line for each setting that is named like a secret. */}}
{{- define "cleanhours.secretsIn" -}}
{{- $path := .path -}}
{{- range $key, $value := .table -}}
{{- if kindIs "map" $value -}}
{{- include "cleanhours.secretsIn" (dict "path" (append $path $key) "table" $value) -}}
{{- else if and $value (regexMatch "(?i)(^|[_.-])(token|key|password|passwd|secret)s?($|[_.-])" $key) -}}
{{- append $path $key | join "." }}
{{ end -}}
{{- end -}}
{{- end -}}
