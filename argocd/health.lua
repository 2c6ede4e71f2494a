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

-- A policy is there before what it protects. Were that no good health, the sync would never get to its routes.
if accepted.status == "False" and accepted.reason == "TargetNotFound" then
  return health("Healthy", "It waits for what it aims at. " .. told(accepted))
end
if accepted.status == "False" then
  return health("Degraded", told(accepted))
end
if resolved.status == "False" then
  return health("Degraded", told(resolved))
end
if found.PodsReady ~= nil and found.PodsReady.status == "False" then
  return health("Degraded", told(found.PodsReady))
end
if programmed.status == "True" then
  return health("Healthy", programmed.message ~= "" and programmed.message or "All proxies have it.")
end

local waiting = { Pending = true, NoProxies = true, NoDecisionService = true }
if programmed.status == "Unknown" or waiting[programmed.reason] then
  return health("Progressing", told(programmed))
end
return health("Degraded", told(programmed))
