{{- define "squashproxy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* At most 40 characters: names of pods of a StatefulSet and of Jobs begin with it. */}}
{{- define "squashproxy.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "squashproxy.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "squashproxy.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The name of what belongs to a role. Takes {root, role}. */}}
{{- define "squashproxy.roleName" -}}
{{- $name := include "squashproxy.fullname" .root }}
{{- if eq .role "serve" }}{{ $name }}{{ else }}{{ $name }}-{{ .role }}{{ end }}
{{- end }}

{{- define "squashproxy.selector" -}}
app.kubernetes.io/name: {{ include "squashproxy.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "squashproxy.labels" -}}
{{ include "squashproxy.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "squashproxy.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "squashproxy.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "squashproxy.image" -}}
{{- with .Values.image }}
{{- $tag := default $.Chart.AppVersion .tag }}
{{- if .digest }}{{ .repository }}:{{ $tag }}@{{ .digest }}{{ else }}{{ .repository }}:{{ $tag }}{{ end }}
{{- end }}
{{- end }}
