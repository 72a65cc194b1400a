{{/* The whole configuration as YAML: what the values say, completed. */}}
{{- define "squashproxy.config" -}}
{{- $config := deepCopy (default dict .Values.config) }}
{{- $secrets := .Values.existingSecret }}
{{- if not (hasKey $config "state") }}
{{- $_ := set $config "state" "/var/lib/squashproxy/state" }}
{{- end }}
{{- if .Values.redis.existingSecret }}
{{- $_ := set $config "engine" (merge (default dict $config.engine) (dict "kind" "celery" "broker" "${SQUASHPROXY_BROKER}")) }}
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
{{- $rules := default dict $v.config }}
{{- $crons := or $v.cronJobs.promote.enabled $v.cronJobs.cleanup.enabled }}
{{- if not (or $v.serve.enabled $v.run.enabled $v.worker.enabled $crons) }}
{{- fail "nothing is enabled; set serve.enabled, run.enabled, worker.enabled or one of cronJobs" }}
{{- end }}
{{- if and $v.run.enabled $crons }}
{{- fail "run.enabled and cronJobs would both run the rules; enable one of them" }}
{{- end }}
{{- if and (or $crons (and $v.run.enabled (not (include "squashproxy.hasServer" .)))) (not (or $rules.promote $rules.cleanup)) }}
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
{{- if and $v.service.nodePort (eq $v.service.type "ClusterIP") }}
{{- fail "service.nodePort needs a service.type that has node ports; set service.type to NodePort or LoadBalancer" }}
{{- end }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "squashproxy.fullname" .)) }}
{{- fail (printf "%q is no name of a Service, which has small letters, digits and '-', and begins with a letter; set fullnameOverride" (include "squashproxy.fullname" .)) }}
{{- end }}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" (include "squashproxy.name" .)) }}
{{- fail (printf "nameOverride is %q, which is no label; write small letters, digits and '-'" $v.nameOverride) }}
{{- end }}
{{- $serve := default dict (include "squashproxy.config" . | fromYaml).serve }}
{{- if and $serve (or $v.serve.enabled $v.run.enabled) }}
{{- $reached := false }}
{{- range (kindIs "slice" $serve.listen | ternary $serve.listen (list $serve.listen)) }}
{{- $address := toString (kindIs "map" . | ternary . (dict "address" .)).address }}
{{- if and (hasSuffix ":5000" $address) (not (regexMatch "^(127[.]|localhost:|[[]::1[]])" $address)) }}
{{- $reached = true }}
{{- end }}
{{- end }}
{{- if not $reached }}
{{- fail (printf "config.serve.listen is %s, where neither probes nor the Service reach a pod; write 0.0.0.0:5000, or leave it out" (toJson $serve.listen)) }}
{{- end }}
{{- end }}
{{- if and $v.metrics.serviceMonitor.enabled (has (toString $serve.metrics) (list "nobody" "users")) }}
{{- fail (printf "metrics.serviceMonitor has no login, and config.serve.metrics is %s; write everyone, and close /metrics with a networkPolicy or the ingress" $serve.metrics) }}
{{- end }}
{{- range $role := list "serve" "worker" }}
{{- $a := (index $v $role).autoscaling }}
{{- if and $a.enabled (gt (int $a.minReplicas) (int $a.maxReplicas)) }}
{{- fail (printf "%s.autoscaling.minReplicas is more than maxReplicas; write a lower one" $role) }}
{{- end }}
{{- end }}
{{- range $role := list "serve" "run" }}
{{- $each := index $v $role }}
{{- if ge (int $each.preStopSeconds) (int $each.terminationGracePeriodSeconds) }}
{{- fail (printf "%s.preStopSeconds leaves nothing of terminationGracePeriodSeconds; raise the latter" $role) }}
{{- end }}
{{- end }}
{{- include "squashproxy.checkNames" . }}
{{- end }}

{{/* What users add beside what the chart sets: a name that stands twice is refused by the API server, or hides one. */}}
{{- define "squashproxy.checkNames" -}}
{{- $v := .Values }}
{{- $m := $v.metrics }}
{{- $own := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" }}
{{- range $key, $labels := dict "commonLabels" $v.commonLabels "podLabels" $v.podLabels "service.labels" $v.service.labels "metrics.serviceMonitor.labels" $m.serviceMonitor.labels "metrics.prometheusRule.labels" $m.prometheusRule.labels "metrics.dashboard.labels" $m.dashboard.labels }}
{{- range $name := keys (default dict $labels) | sortAlpha }}
{{- if has $name $own }}
{{- fail (printf "%s has %s, which the chart sets; leave it out" $key $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if hasKey (default dict $v.podAnnotations) "checksum/configuration" }}
{{- fail "podAnnotations has checksum/configuration, which the chart sets; leave it out" }}
{{- end }}
{{- $names := list "XDG_CACHE_HOME" }}
{{- if $v.existingSecret.registries }}{{ $names = append $names "DOCKER_CONFIG" }}{{ end }}
{{- if $v.redis.existingSecret }}{{ $names = append $names "SQUASHPROXY_BROKER" }}{{ end }}
{{- include "squashproxy.checkList" (dict "key" "extraEnv" "field" "name" "list" $v.extraEnv "own" $names) }}
{{- $names = list "configuration" "state" "cache" "temporary" }}
{{- $paths := list "/etc/squashproxy" "/var/lib/squashproxy" "/var/cache/squashproxy" "/tmp" }}
{{- range $name := list "registries" "htpasswd" "tls" "keys" }}
{{- if index $v.existingSecret $name }}
{{- $names = append $names $name }}
{{- $paths = append $paths (printf "/secrets/%s" $name) }}
{{- end }}
{{- end }}
{{- if or $v.extraCA.existingSecret $v.extraCA.existingConfigMap }}
{{- $names = append $names "ca" }}
{{- $paths = append $paths "/secrets/ca" }}
{{- end }}
{{- include "squashproxy.checkList" (dict "key" "extraVolumes" "field" "name" "list" $v.extraVolumes "own" $names) }}
{{- include "squashproxy.checkList" (dict "key" "extraVolumeMounts" "field" "mountPath" "list" $v.extraVolumeMounts "own" $paths) }}
{{- end }}

{{/* Takes {key, field, list, own}. */}}
{{- define "squashproxy.checkList" -}}
{{- $seen := .own }}
{{- range .list }}
{{- $name := index . $.field }}
{{- if has $name $seen }}
{{- fail (printf "%s has %s, which %s; leave it out, or give it another %s" $.key $name (has $name $.own | ternary "the chart sets" "stands there twice") $.field) }}
{{- end }}
{{- $seen = append $seen $name }}
{{- end }}
{{- end }}
