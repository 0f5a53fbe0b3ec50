-- Checks every response that wrk gets, and counts: `wrk --script load.lua URL -- HEADER`.
--
-- wrk runs `init` and `response` in its threads, each with its own Lua state. It runs `setup` for each
-- thread, and `done` at the end, in another state, so these two share `threads`.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(arguments)
   header = arguments[1]
   checked = 0
   failed = 0
   without = 0
   values = {}
end

function response(status, headers, body)
   checked = checked + 1
   if status ~= 200 then
      failed = failed + 1
   end
   local value = headers[header]
   if value == nil then
      without = without + 1
   else
      values[value] = (values[value] or 0) + 1
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   local sum = { checked = 0, failed = errors.connect + errors.read + errors.write + errors.timeout, without = 0 }
   local values = {}
   for _, thread in ipairs(threads) do
      for name in pairs(sum) do
         sum[name] = sum[name] + thread:get(name)
      end
      for value, count in pairs(thread:get("values")) do
         values[value] = (values[value] or 0) + count
      end
   end
   sum.requests = summary.requests
   for name, count in pairs(sum) do
      print("count", name, count)
   end
   for value, count in pairs(values) do
      print("value", value, count)
   end
end
