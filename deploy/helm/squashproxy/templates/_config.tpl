{{/* The whole configuration as YAML: what the values say, completed. */}}
{{- define "squashproxy.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $secrets := .Values.existingSecret }}
{{- if not (hasKey $config "state") }}
{{- $_ := set $config "state" "/var/lib/squashproxy/state" }}
{{- end }}
{{- if and .Values.redis.existingSecret (not (hasKey $config "engine")) }}
{{- $_ := set $config "engine" dict }}
{{- end }}
{{- if .Values.redis.existingSecret }}
{{- $_ := set $config "engine" (merge $config.engine (dict "kind" "celery" "broker" "${SQUASHPROXY_BROKER}")) }}
{{- end }}
{{- if or .Values.serve.enabled (hasKey $config "serve") }}
{{- $serve := default dict $config.serve }}
{{- if not (hasKey $serve "listen") }}
{{- $_ := set $serve "listen" "0.0.0.0:5000" }}
{{- end }}
{{- if not (hasKey $serve "upstreams") }}
{{- $_ := set $serve "upstreams" (dict "docker.io" dict) }}
{{- end }}
{{- if not (hasKey $serve "store") }}
{{- $_ := set $serve "store" (dict "directory" "/var/lib/squashproxy/store") }}
{{- end }}
{{- if and $secrets.tls (not (hasKey $serve "tls")) }}
{{- $_ := set $serve "tls" (dict "certificate" "/secrets/tls/tls.crt" "key" "/secrets/tls/tls.key") }}
{{- end }}
{{- if and $secrets.htpasswd (not (hasKey $serve "auth")) }}
{{- $_ := set $serve "auth" (dict "htpasswd" "/secrets/htpasswd/htpasswd") }}
{{- end }}
{{- $_ := set $config "serve" $serve }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* Not empty if the configuration has a server, with its probes and metrics. */}}
{{- define "squashproxy.hasServer" -}}
{{- if hasKey (include "squashproxy.config" . | fromYaml) "serve" }}yes{{ end }}
{{- end }}

{{/* Not empty if the server's store is a folder, so that one pod has it. */}}
{{- define "squashproxy.hasFolder" -}}
{{- $config := include "squashproxy.config" . | fromYaml }}
{{- if hasKey (default dict (default dict $config.serve).store) "directory" }}yes{{ end }}
{{- end }}

{{/* Not empty if the jobs run on workers. */}}
{{- define "squashproxy.hasFleet" -}}
{{- $config := include "squashproxy.config" . | fromYaml }}
{{- if eq (default "local" (default dict $config.engine).kind) "celery" }}yes{{ end }}
{{- end }}

{{/* Not empty if the pod of serve runs the rules, too: a folder has one owner. */}}
{{- define "squashproxy.isOneProcess" -}}
{{- if and .Values.serve.enabled .Values.run.enabled (include "squashproxy.hasFolder" .) }}yes{{ end }}
{{- end }}

{{- define "squashproxy.scheme" -}}
{{- $config := include "squashproxy.config" . | fromYaml }}
{{- if (default dict $config.serve).tls }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{/* Values that contradict one another; each with what to write instead. */}}
{{- define "squashproxy.check" -}}
{{- $v := .Values }}
{{- $crons := or $v.cronJobs.promote.enabled $v.cronJobs.cleanup.enabled }}
{{- if not (or $v.serve.enabled $v.run.enabled $v.worker.enabled $crons) }}
{{- fail "nothing is enabled; set serve.enabled, run.enabled, worker.enabled or one of cronJobs" }}
{{- end }}
{{- if and $v.run.enabled $crons }}
{{- fail "run.enabled and cronJobs would both run the rules; enable one of them" }}
{{- end }}
{{- if and (or $crons (and $v.run.enabled (not (include "squashproxy.hasServer" .)))) (not (or $v.config.promote $v.config.cleanup)) }}
{{- fail "there is no rule to run; write config.promote or config.cleanup" }}
{{- end }}
{{- if and $v.serve.enabled (include "squashproxy.hasFolder" .) (or $v.serve.autoscaling.enabled (gt (int $v.serve.replicas) 1)) }}
{{- fail "a folder as the store belongs to one pod; set config.serve.store.registry, or serve.replicas to 1 without autoscaling" }}
{{- end }}
{{- if not (include "squashproxy.hasFleet" .) }}
{{- if $v.worker.enabled }}
{{- fail "workers need a broker; set redis.existingSecret" }}
{{- end }}
{{- if and $v.run.enabled (gt (int $v.run.replicas) 1) }}
{{- fail "several replicas of run need a broker to agree who schedules; set redis.existingSecret, or run.replicas to 1" }}
{{- end }}
{{- end }}
{{- if and (include "squashproxy.hasFleet" .) (include "squashproxy.hasFolder" .) }}
{{- fail "workers cannot write into a folder of serve; set config.serve.store.registry, or serve.enabled to false" }}
{{- end }}
{{- if and $v.run.enabled $v.run.persistence.existingClaim (gt (int $v.run.replicas) 1) }}
{{- fail "run.persistence.existingClaim is one state, which belongs to one pod; set run.replicas to 1, or leave the claim out" }}
{{- end }}
{{- if and $v.extraCA.existingSecret $v.extraCA.existingConfigMap }}
{{- fail "extraCA has both existingSecret and existingConfigMap; leave one of them out" }}
{{- end }}
{{- range $kind, $enabled := dict "ingress" $v.ingress.enabled "httpRoute" $v.httpRoute.enabled "metrics.serviceMonitor" $v.metrics.serviceMonitor.enabled }}
{{- if and $enabled (not (or $v.serve.enabled (and $v.run.enabled (include "squashproxy.hasServer" $)))) }}
{{- fail (printf "%s leads to a server, but none is enabled; set serve.enabled" $kind) }}
{{- end }}
{{- end }}
{{- range $kind, $enabled := dict "ingress" $v.ingress.enabled "httpRoute" $v.httpRoute.enabled }}
{{- if and $enabled (not $v.serve.enabled) }}
{{- fail (printf "%s leads to the pods of serve; set serve.enabled" $kind) }}
{{- end }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
{{- fail "ingress.enabled needs ingress.hosts" }}
{{- end }}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs" }}
{{- end }}
{{- end }}
