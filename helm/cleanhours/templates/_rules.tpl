{{/* Rows of roles. No row says delete, none says create but for Events, the Lease and the webhook's certificate. */}}

{{/*
Kinds that are held and released. Takes (dict "root" $ "verbs" (list "get" "patch")).
*/}}
{{- define "cleanhours.kindRules" -}}
{{- $kinds := .root.Values.kinds -}}
- apiGroups: [batch]
  resources: [jobs]
  verbs: {{ toJson .verbs }}
{{- if $kinds.jobset }}
- apiGroups: [jobset.x-k8s.io]
  resources: [jobsets]
  verbs: {{ toJson .verbs }}
{{- end }}
{{- if or $kinds.kubeflow $kinds.mpi }}
- apiGroups: [kubeflow.org]
  resources: {{ concat (ternary (include "cleanhours.kubeflow" .root | fromJsonArray) list $kinds.kubeflow) (ternary (list "mpijobs") list $kinds.mpi) | toJson }}
  verbs: {{ toJson .verbs }}
{{- end }}
{{- if $kinds.trainjob }}
- apiGroups: [trainer.kubeflow.org]
  resources: [trainjobs]
  verbs: {{ toJson .verbs }}
{{- end }}
{{- if $kinds.rayjob }}
- apiGroups: [ray.io]
  resources: [rayjobs]
  verbs: {{ toJson .verbs }}
{{- end }}
{{- if $kinds.kueue }}
# a pause is the Workload's `active`
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads]
  verbs: {{ toJson .verbs }}
{{- end }}
{{- if $kinds.pods }}
- apiGroups: [""]
  resources: [pods]
  verbs: {{ toJson .verbs }}
{{- end }}
{{- end -}}

{{/* What the controller does in namespaces. */}}
{{- define "cleanhours.controllerRules" -}}
{{ include "cleanhours.kindRules" (dict "root" . "verbs" (list "get" "list" "watch" "patch")) }}
# older servers take a new placement only after startTime is cleared
- apiGroups: [batch]
  resources: [jobs/status]
  verbs: [patch]
# a delay of a CronJob's Job ends at the next schedule
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get]
{{- if and .Values.kinds.trainjob (not .Values.kinds.jobset) }}
# the JobSet of a TrainJob tells what its parts are called
- apiGroups: [jobset.x-k8s.io]
  resources: [jobsets]
  verbs: [get]
{{- end }}
{{- if .Values.kinds.kueue }}
- apiGroups: [kueue.x-k8s.io]
  resources: [localqueues]
  verbs: [list, watch]
{{- end }}
# what runs on the nodes that is not ours, and whether a paused job's Pods have stopped
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# a volume that lies in one place keeps its Job there
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get]
{{ include "cleanhours.eventRules" . }}
{{- end -}}

{{/* What it needs to know of the cluster itself. */}}
{{- define "cleanhours.clusterRules" -}}
# capacity, and which location a node stands in
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
# which namespaces opted in, and which only look
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [persistentvolumes]
  verbs: [get]
{{- if .Values.kinds.kueue }}
# quotas, and where their flavors are
- apiGroups: [kueue.x-k8s.io]
  resources: [clusterqueues, resourceflavors]
  verbs: [list, watch]
{{- end }}
{{- if include "cleanhours.webhookSelfManaged" . }}
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations]
  resourceNames: [{{ include "cleanhours.webhookConfigurationName" . }}]
  verbs: [get, patch]
{{- end }}
{{- end -}}

{{/* What it does in its own namespace. */}}
{{- define "cleanhours.ownRules" -}}
# RBAC cannot say which name may be created
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "cleanhours.leaseName" . }}]
  verbs: [get, update]
{{- if eq (include "cleanhours.admissionMode" .) "webhook" }}
{{- if include "cleanhours.webhookSelfManaged" . }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
{{- end }}
# the webhook's certificate
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ include "cleanhours.webhookSecret" . }}]
  verbs: [{{ ternary "get, update" "get" (eq (include "cleanhours.webhookSelfManaged" .) "true") }}]
{{- end }}
{{- end -}}

{{- define "cleanhours.eventRules" -}}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* What the two release commands do: find what is held, see that its Pods have stopped, release it, say so. */}}
{{- define "cleanhours.releaseRules" -}}
{{ include "cleanhours.kindRules" (dict "root" . "verbs" (list "get" "list" "patch")) }}
{{- if not .Values.kinds.pods }}
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- end }}
{{ include "cleanhours.eventRules" . }}
{{- end -}}

{{/*
The role for every namespace, or one in each watched one, with its binding.
Takes (dict "root" $ "name" $name "account" $account "component" "controller" "rules" $rules "annotations" $annotations).
*/}}
{{- define "cleanhours.namespacedRights" -}}
{{- $all := . -}}
{{- if .root.Values.watchNamespaces -}}
{{- range .root.Values.watchNamespaces }}
{{ include "cleanhours.rights" (dict "root" $all.root "kind" "Role" "namespace" . "name" $all.name "account" $all.account "component" $all.component "rules" $all.rules "annotations" $all.annotations) }}
{{- end -}}
{{- else }}
{{ include "cleanhours.rights" (dict "root" .root "kind" "ClusterRole" "name" .name "account" .account "component" .component "rules" .rules "annotations" .annotations) }}
{{- end -}}
{{- end -}}

{{/* A role and its binding to an account of the release's namespace. */}}
{{- define "cleanhours.rights" -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  {{- include "cleanhours.rightsMetadata" . | nindent 2 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  {{- include "cleanhours.rightsMetadata" . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}

{{- define "cleanhours.rightsMetadata" -}}
name: {{ .name }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- include "cleanhours.labels" (dict "root" .root "component" .component) | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The Lease keeps a controller that is still ending from acting while everything is released. */}}
{{- define "cleanhours.releaseAllOwnRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "cleanhours.leaseName" . }}]
  verbs: [get, update]
{{- end -}}
