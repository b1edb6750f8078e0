{{/*
Admission, said once for policies and webhook: what is asked about, and the rules of words in CEL. The same rules stand
in Python (clusters/kubernetes/admission/judging.py and holding.py); one table of cases runs through both.
*/}}

{{/* Which creations are asked about. Takes (dict "root" $ "cronJobs" true). */}}
{{- define "cleanhours.admission.rules" -}}
{{- $kinds := .root.Values.kinds -}}
- {apiGroups: [batch], apiVersions: [v1], operations: [CREATE], resources: [jobs{{ if .cronJobs }}, cronjobs{{ end }}]}
{{- if $kinds.jobset }}
- {apiGroups: [jobset.x-k8s.io], apiVersions: [v1alpha2], operations: [CREATE], resources: [jobsets]}
{{- end }}
{{- if $kinds.kubeflow }}
- {apiGroups: [kubeflow.org], apiVersions: [v1], operations: [CREATE], resources: [pytorchjobs, tfjobs, xgboostjobs, paddlejobs, jaxjobs]}
{{- end }}
{{- if $kinds.mpi }}
- {apiGroups: [kubeflow.org], apiVersions: [v1, v2beta1], operations: [CREATE], resources: [mpijobs]}
{{- end }}
{{- if $kinds.trainjob }}
- {apiGroups: [trainer.kubeflow.org], apiVersions: [v1alpha1], operations: [CREATE], resources: [trainjobs]}
{{- end }}
{{- if $kinds.rayjob }}
- {apiGroups: [ray.io], apiVersions: [v1], operations: [CREATE], resources: [rayjobs]}
{{- end }}
{{- if $kinds.pods }}
- {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
{{- end }}
{{- end -}}

{{/*
In which namespaces: never the cluster's own and ours, never those that are only looked at. `how` is annotated (each
object asks for itself), enabled (the namespace opted in), or both.
*/}}
{{- define "cleanhours.admission.namespaces" -}}
matchExpressions:
  - {key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, {{ .root.Release.Namespace }}]}
  {{- with .root.Values.watchNamespaces }}
  - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
  {{- end }}
  {{- if eq .how "annotated" }}
  - {key: cleanhours.dev/enabled, operator: NotIn, values: ["true", "false", shadow]}
  {{- else if eq .how "enabled" }}
  - {key: cleanhours.dev/enabled, operator: In, values: ["true"]}
  {{- else }}
  - {key: cleanhours.dev/enabled, operator: NotIn, values: ["false", shadow]}
  {{- end }}
{{- end -}}

{{/*
What of it: not what another controller made (but for CronJobs), not what keeps out, not what Kueue manages where we have
nothing to do with Kueue; and what wears one of our words, unless its namespace speaks for it. Older CEL, as servers
from 1.28 know it.
*/}}
{{- define "cleanhours.admission.conditions" -}}
- name: top-level
  expression: >-
    !has(object.metadata.ownerReferences) ||
    !object.metadata.ownerReferences.exists(o, has(o.controller) && o.controller && o.kind != 'CronJob')
- name: not-kept-out
  expression: >-
    !has(object.metadata.annotations) || !('cleanhours.dev/enabled' in object.metadata.annotations) ||
    object.metadata.annotations['cleanhours.dev/enabled'] != 'false'
{{- if not .root.Values.kinds.kueue }}
- name: not-of-kueue
  expression: >-
    !has(object.metadata.labels) || !('kueue.x-k8s.io/queue-name' in object.metadata.labels)
{{- end }}
- name: wears-our-words
  expression: >-
    {{- if eq .how "enabled" }}
    !(request.kind.kind in ['Pod', 'CronJob']) ||
    {{- end }}
    (has(object.metadata.annotations) &&
    object.metadata.annotations.exists(k, k.startsWith('cleanhours.dev/')))
    {{- if .cronJobs }} ||
    (request.kind.kind == 'CronJob' && has(object.spec.jobTemplate.metadata) &&
    has(object.spec.jobTemplate.metadata.annotations) &&
    object.spec.jobTemplate.metadata.annotations.exists(k, k.startsWith('cleanhours.dev/')))
    {{- end }}
{{- end -}}

{{/* Whether the object itself asks for us. */}}
{{- define "cleanhours.admission.asks" -}}
('cleanhours.dev/deadline' in variables.notes || 'cleanhours.dev/max-delay' in variables.notes)
{{- end -}}

{{/* A RayJob is suspended by the end of its RayCluster, which must be its own. */}}
{{- define "cleanhours.admission.rayFits" -}}
(size(object.spec.?clusterSelector.orValue({})) == 0 && object.spec.?shutdownAfterJobFinishes.orValue(false) == true)
{{- end -}}

{{/*
A list of {word, text} with `seconds` beside them: whole seconds, rounded up, or -1 for what is no duration of at most
366 days. Exact to a nanosecond per part, in integers: doubles would make 3961 seconds of 1.1h. Takes the list.
*/}}
{{- define "cleanhours.admission.lengths" -}}
{{- $n := "[0-9]+([.][0-9]+)?" -}}
{{- $weight := "{'w': 604800, 'd': 86400, 'h': 3600, 'm': 60, 's': 1}[p.substring(size(p) - 1).lowerAscii()]" -}}
{{ . }}.map(t, {'word': dyn(t.word), 'text': dyn(t.text), 'parts': dyn(
  size(t.text) <= 100 && t.text != '' && (
    t.text.matches('^({{ $n }}d)?({{ $n }}h)?({{ $n }}m)?({{ $n }}s)?$') ||
    (t.text != 'P' && !t.text.endsWith('T') &&
      t.text.matches('^P({{ $n }}W)?({{ $n }}D)?(T({{ $n }}H)?({{ $n }}M)?({{ $n }}S)?)?$'))
  ) ? t.text.findAll('{{ $n }}[A-Za-z]') : [])
}).map(t, {'word': dyn(t.word), 'text': dyn(t.text), 'parts': dyn(t.parts),
  'counted': dyn(size(t.parts) > 0 && t.parts.all(p, p.matches('^0*[0-9]{1,8}([.]|[A-Za-z])')))
}).map(t, {'word': dyn(t.word), 'text': dyn(t.text), 'counted': dyn(t.counted),
  'whole': dyn(!t.counted ? 0 : t.parts.map(p, int(p.find('^[0-9]+')) * {{ $weight }}).sum()),
  'nanos': dyn(!t.counted ? 0 : ([0] + t.parts.filter(p, p.contains('.')).map(p,
    int((p.substring(p.indexOf('.') + 1, size(p) - 1) + '000000000').substring(0, 9)) * {{ $weight }} +
    (p.matches('[.][0-9]{9}0*[1-9]') ? 1 : 0))).sum())
}).map(t, {'word': dyn(t.word), 'text': dyn(t.text), 'seconds': dyn(
  !t.counted || t.whole > 31622400 || t.whole * 1000000000 + t.nanos > 31622400000000000 ? -1 :
  t.whole + (t.nanos + 999999999) / 1000000000)})
{{- end -}}

{{/* Whether `t.text` is an instant of RFC 3339 with a zone, on a day that there is, between the years 1 and 9999. */}}
{{- define "cleanhours.admission.isInstant" -}}
{{- $local := "(int(t.text.substring(11, 13)) * 60 + int(t.text.substring(14, 16)))" -}}
{{- $zone := "(int(t.text.substring(size(t.text) - 5, size(t.text) - 3)) * 60 + int(t.text.substring(size(t.text) - 2)))" -}}
(t.text.matches('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?([Zz]|[+-][0-9]{2}:[0-9]{2})$') &&
!t.text.matches('^(0000|[0-9]{4}-(02-3|(04|06|09|11)-31))') &&
(!t.text.matches('^[0-9]{4}-02-29') ||
  t.text.matches('^([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)')) &&
(t.text.matches('[Zz]$') || ({{ $zone }} < 1440 &&
  !(t.text.matches('^0001-01-01.*[+].{5}$') && {{ $local }} < {{ $zone }}) &&
  !(t.text.matches('^9999-12-31.*-.{5}$') && {{ $local }} + {{ $zone }} >= 1440))))
{{- end -}}

{{/* One fault, as Python says it; the API server drops a message with a line break. Takes (dict "word" CEL "text" CEL "accepted" CEL). */}}
{{- define "cleanhours.admission.fault" -}}
{{ .word }} + ": found '" + (size({{ .text }}) <= 60 ? {{ .text }} : {{ .text }}.substring(0, 60) + '…').replace('\n', '\\n') + "', accepted: " + {{ .accepted }}
{{- end -}}
