-- Argo CD's health of an object of FastForward, whatever its kind. In: `obj`. Out: a table with status and message.
local status = obj.status or {}
local generation = obj.metadata.generation

local function health(name, message)
  return { status = name, message = message }
end

local function is_stale(observed)
  return observed == nil or (generation ~= nil and observed ~= generation)
end

if is_stale(status.observedGeneration) then
  return health("Progressing", "The operator has not judged this version yet.")
end

local found = {}
for _, condition in ipairs(status.conditions or {}) do
  if is_stale(condition.observedGeneration) then
    return health("Progressing", "The operator has not judged this version yet: " .. condition.type .. ".")
  end
  found[condition.type] = condition
end

local accepted, resolved, programmed = found.Accepted, found.ResolvedRefs, found.Programmed
if accepted == nil or resolved == nil or programmed == nil then
  return health("Progressing", "The operator has not judged this version yet.")
end

local function told(condition)
  return condition.reason .. ": " .. (condition.message or "")
end

-- A policy is there before what it protects, an Upstream maybe before its pods are ready. Neither must end the sync.
-- Any other reference that leads nowhere is Degraded: a sync that waited for a name that is misspelt would never end.
local without_target = accepted.status == "False" and accepted.reason == "TargetNotFound"
local without_endpoints = resolved.status == "False" and resolved.reason == "NoEndpoints"

-- What is wrong goes before what is early: an object may be both.
if accepted.status == "False" and not without_target then
  return health("Degraded", told(accepted))
end
if resolved.status == "False" and not without_endpoints then
  return health("Degraded", told(resolved))
end
for _, pods in ipairs({ "PodsApplied", "PodsReady" }) do
  if found[pods] ~= nil and found[pods].status == "False" then
    return health("Degraded", told(found[pods]))
  end
end
local waiting = { Pending = true, NoProxies = true, NoDecisionService = true }
local follows = without_target and programmed.reason == accepted.reason
if programmed.status == "False" and not waiting[programmed.reason] and not follows then
  return health("Degraded", told(programmed))
end

if without_endpoints then
  return health("Progressing", told(resolved))
end
if without_target then
  return health("Healthy", "It waits for what it aims at. " .. told(accepted))
end
if programmed.status == "True" then
  return health("Healthy", programmed.message ~= "" and programmed.message or "All proxies have it.")
end
return health("Progressing", told(programmed))
