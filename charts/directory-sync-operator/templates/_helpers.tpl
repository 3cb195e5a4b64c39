{{- define "directory-sync-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "directory-sync-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "directory-sync-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "directory-sync-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "directory-sync-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "directory-sync-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "directory-sync-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "directory-sync-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "directory-sync-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "directory-sync-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* What the operator may do in a namespace that it watches. */}}
{{- define "directory-sync-operator.rules" -}}
- apiGroups: [directorysync.dev]
  resources: [directorysyncs]
  # patch: the finalizer.
  verbs: [get, list, watch, patch]
- apiGroups: [directorysync.dev]
  resources: [directorysyncs/status]
  verbs: [patch]
- apiGroups: [directorysync.dev]
  resources: [directorysyncplans]
  verbs: [get, list, create, delete]
- apiGroups: [directorysync.dev]
  resources: [directorysyncapprovals]
  verbs: [list, watch]
- apiGroups: [directorysync.dev]
  resources: [directorysyncapprovals/status]
  verbs: [patch]
- apiGroups: [directorysync.dev]
  resources: [directorysyncstates]
  verbs: [get, list, create, patch, delete]
# The named ones of a resource; they are neither listed nor watched.
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
