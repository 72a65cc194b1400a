{{/* What the command lines of all roles have in common. */}}
{{- define "squashproxy.commonArgs" -}}
- --log-format={{ .Values.logFormat }}
{{- range until (int .Values.verbosity) }}
- -v
{{- end }}
{{- if or .Values.extraCA.existingSecret .Values.extraCA.existingConfigMap }}
- --ca=/secrets/ca/ca.crt
{{- end }}
{{- end }}

{{/* Fails if a worker has not touched its file for a minute: it does so every five seconds. */}}
{{- define "squashproxy.isAlive" -}}
- /opt/squashproxy/bin/python
- -c
- import os, sys, time; sys.exit(time.time() - os.stat("/tmp/alive").st_mtime > 60)
{{- end }}

{{/* The fields of a pod that say where it runs. Takes {root, role, values}. */}}
{{- define "squashproxy.placement" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "squashproxy.spread" -}}
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "squashproxy.selector" . | fromYaml)) }}
{{- $default := list (dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway") }}
topologySpreadConstraints:
{{- range default $default .values.topologySpreadConstraints }}
  - {{- merge (deepCopy .) $selector | toYaml | nindent 4 }}
{{- end }}
{{- end }}

{{/* Takes {root}. */}}
{{- define "squashproxy.podCommon" -}}
serviceAccountName: {{ include "squashproxy.serviceAccount" .root | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The container, without arguments, probes and resources. Takes {root}. */}}
{{- define "squashproxy.container" -}}
{{- $v := .root.Values -}}
name: squashproxy
image: {{ include "squashproxy.image" .root | quote }}
imagePullPolicy: {{ $v.image.pullPolicy }}
securityContext: {{- toYaml $v.securityContext | nindent 2 }}
env:
  - {name: XDG_CACHE_HOME, value: /var/cache}
{{- if $v.existingSecret.registries }}
  - {name: DOCKER_CONFIG, value: /secrets/registries}
{{- end }}
{{- if $v.redis.existingSecret }}
  - name: SQUASHPROXY_BROKER
    valueFrom:
      secretKeyRef: {name: {{ $v.redis.existingSecret | quote }}, key: {{ $v.redis.key | quote }}}
{{- end }}
{{- with $v.extraEnv }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.extraEnvFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - {name: configuration, mountPath: /etc/squashproxy, readOnly: true}
  - {name: state, mountPath: /var/lib/squashproxy}
  - {name: cache, mountPath: /var/cache/squashproxy}
  - {name: temporary, mountPath: /tmp}
{{- range $name := list "registries" "htpasswd" "tls" "keys" }}
{{- if index $v.existingSecret $name }}
  - {name: {{ $name }}, mountPath: /secrets/{{ $name }}, readOnly: true}
{{- end }}
{{- end }}
{{- if or $v.extraCA.existingSecret $v.extraCA.existingConfigMap }}
  - {name: ca, mountPath: /secrets/ca, readOnly: true}
{{- end }}
{{- with $v.extraVolumeMounts }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
The volumes. Takes {root, claim}: the claim of the volume `state`; `template` if a StatefulSet makes it, empty if
nothing has to last.
*/}}
{{- define "squashproxy.volumes" -}}
{{- $v := .root.Values -}}
volumes:
  - name: configuration
    configMap: {name: {{ include "squashproxy.fullname" .root | quote }}}
{{- if ne .claim "template" }}
  - name: state
{{- if .claim }}
    persistentVolumeClaim: {claimName: {{ .claim | quote }}}
{{- else }}
    emptyDir: {}
{{- end }}
{{- end }}
  - {name: cache, emptyDir: {}}
  - {name: temporary, emptyDir: {}}
{{- with $v.existingSecret.registries }}
  - name: registries
    secret:
      secretName: {{ . | quote }}
      defaultMode: 0440
      items: [{key: .dockerconfigjson, path: config.json}]
{{- end }}
{{- range $name := list "htpasswd" "tls" "keys" }}
{{- with index $v.existingSecret $name }}
  - name: {{ $name }}
    secret: {secretName: {{ . | quote }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- with $v.extraCA.existingSecret }}
  - name: ca
    secret: {secretName: {{ . | quote }}, items: [{key: {{ $v.extraCA.key | quote }}, path: ca.crt}]}
{{- end }}
{{- with $v.extraCA.existingConfigMap }}
  - name: ca
    configMap: {name: {{ . | quote }}, items: [{key: {{ $v.extraCA.key | quote }}, path: ca.crt}]}
{{- end }}
{{- with $v.extraVolumes }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Port, probes and the pause before the end of a pod with a server. Takes {root, values}. */}}
{{- define "squashproxy.serving" -}}
{{- $scheme := include "squashproxy.scheme" .root }}
ports:
  - {name: http, containerPort: 5000, protocol: TCP}
startupProbe:
  httpGet: {path: /healthz, port: http, scheme: {{ $scheme }}}
  {{- toYaml .values.startupProbe | nindent 2 }}
livenessProbe:
  httpGet: {path: /healthz, port: http, scheme: {{ $scheme }}}
  {{- toYaml .values.livenessProbe | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: http, scheme: {{ $scheme }}}
  {{- toYaml .values.readinessProbe | nindent 2 }}
{{- with .values.preStopSeconds }}
lifecycle:
  preStop: {sleep: {seconds: {{ . | int64 }}}}
{{- end }}
{{- end }}

{{- define "squashproxy.podMetadata" -}}
labels:
  {{- include "squashproxy.labels" (dict "root" .root "role" .role "more" .root.Values.podLabels) | nindent 2 }}
annotations:
  checksum/configuration: {{ include "squashproxy.config" .root | sha256sum }}
  {{- with .root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
