{{/* Names, labels and decisions that more than one template needs. */}}

{{- define "cleanhours.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 36 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 36 characters: the longest suffix, -release-overdue, has 16, and a CronJob may have 52. */}}
{{- define "cleanhours.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 36 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | replace "." "-" | trunc 36 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cleanhours.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What selectors match: never changes over the life of a release. Takes (dict "root" $ "component" "controller"). */}}
{{- define "cleanhours.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cleanhours.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Takes (dict "root" $ "component" "admission"). */}}
{{- define "cleanhours.labels" -}}
{{ include "cleanhours.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: cleanhours
helm.sh/chart: {{ include "cleanhours.chart" .root }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* ServiceAccounts: one for each of the three things that run, each with no more rights than it uses. */}}
{{- define "cleanhours.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "cleanhours.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: found none, accepted: the name of an existing ServiceAccount, as serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}
{{- define "cleanhours.releaseOverdueName" -}}{{ include "cleanhours.fullname" . }}-release-overdue{{- end -}}
{{- define "cleanhours.releaseAllName" -}}{{ include "cleanhours.fullname" . }}-release-all{{- end -}}

{{/* Objects that others refer to. */}}
{{- define "cleanhours.configName" -}}{{ include "cleanhours.fullname" . }}-config{{- end -}}
{{- define "cleanhours.leaseName" -}}{{ include "cleanhours.fullname" . }}{{- end -}}
{{- define "cleanhours.metricsService" -}}{{ include "cleanhours.fullname" . }}-metrics{{- end -}}
{{- define "cleanhours.webhookService" -}}{{ include "cleanhours.fullname" . }}-webhook{{- end -}}
{{- define "cleanhours.webhookPort" -}}9443{{- end -}}
{{- define "cleanhours.webhookConfigurationName" -}}{{ include "cleanhours.fullname" . }}{{- end -}}
{{- define "cleanhours.webhookSecret" -}}
{{- if eq .Values.admission.webhook.certificates.mode "existingSecret" -}}
{{- required "admission.webhook.certificates.existingSecret: found none, accepted: the name of a kubernetes.io/tls Secret, as the mode is existingSecret" .Values.admission.webhook.certificates.existingSecret -}}
{{- else -}}
{{- include "cleanhours.fullname" . }}-webhook-tls
{{- end -}}
{{- end -}}

{{/*
policy, webhook or none. `auto` is what the server serves now: policies from 1.36 on, a webhook on older ones. Shadow
mode touches nothing, so nothing may hold a Job either.
*/}}
{{- define "cleanhours.admissionMode" -}}
{{- if .Values.shadow -}}
none
{{- else if ne .Values.admission.mode "auto" -}}
{{ .Values.admission.mode }}
{{- else if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
policy
{{- else -}}
webhook
{{- end -}}
{{- end -}}

{{/* "true" where the controller makes the webhook's certificate itself and writes caBundle. */}}
{{- define "cleanhours.webhookSelfManaged" -}}
{{- if and (eq (include "cleanhours.admissionMode" .) "webhook") (eq .Values.admission.webhook.certificates.mode "self") -}}
true
{{- end -}}
{{- end -}}

{{- define "cleanhours.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* Everything a namespace that enforces PodSecurity `restricted` asks of a Pod and of its containers. */}}
{{- define "cleanhours.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ int .Values.securityContext.runAsUser }}
runAsGroup: {{ int .Values.securityContext.runAsGroup }}
fsGroup: {{ int .Values.securityContext.fsGroup }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}
{{- define "cleanhours.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where Pods may run and with what they are pulled. */}}
{{- define "cleanhours.scheduling" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The claim that the controller mounts; empty where there is none. With PostgreSQL only caches are left to keep. */}}
{{- define "cleanhours.claimName" -}}
{{- if and .Values.persistence.enabled (not .Values.ledger.existingSecret.name) -}}
{{- default (include "cleanhours.fullname" .) .Values.persistence.existingClaim -}}
{{- end -}}
{{- end -}}

{{/*
The Pod of a command that runs and ends. Takes (dict "root" $ "account" $name "args" (list …) "config" true).
*/}}
{{- define "cleanhours.commandPod" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: true
enableServiceLinks: false
restartPolicy: Never
terminationGracePeriodSeconds: 10
securityContext:
  {{- include "cleanhours.podSecurityContext" .root | nindent 2 }}
{{- include "cleanhours.scheduling" .root }}
containers:
  - name: {{ .root.Chart.Name }}
    image: {{ include "cleanhours.image" .root | quote }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command: [cleanhours]
    args: {{ toJson .args }}
    env:
      - {name: HOME, value: /tmp}
      {{- if not .config }}
      {{- include "cleanhours.settingsEnvironment" .root | nindent 6 }}
      {{- end }}
      {{- with .root.Values.extraEnv }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    resources:
      {{- toYaml .root.Values.deadMan.resources | nindent 6 }}
    securityContext:
      {{- include "cleanhours.containerSecurityContext" .root | nindent 6 }}
    volumeMounts:
      {{- if .config }}
      - {name: config, mountPath: /etc/cleanhours, readOnly: true}
      {{- end }}
      - {name: tmp, mountPath: /tmp}
volumes:
  {{- if .config }}
  - name: config
    configMap: {name: {{ include "cleanhours.configName" .root }}}
  {{- end }}
  - name: tmp
    emptyDir: {}
{{- end -}}

{{/* What release-all has to know, for a Pod that finds no ConfigMap any more. */}}
{{- define "cleanhours.settingsEnvironment" -}}
- {name: CLEANHOURS_CLUSTERS__KUBERNETES__TYPE, value: kubernetes}
- {name: CLEANHOURS_CLUSTERS__KUBERNETES__LEASE, value: {{ include "cleanhours.leaseName" . }}}
- {name: CLEANHOURS_CLUSTERS__KUBERNETES__KINDS, value: {{ include "cleanhours.kinds" . | quote }}}
{{- with .Values.watchNamespaces }}
- {name: CLEANHOURS_CLUSTERS__KUBERNETES__WATCH_NAMESPACES, value: {{ toJson . | quote }}}
{{- end }}
{{- end -}}
