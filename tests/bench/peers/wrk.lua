-- Repeats the heads in the file that is its first argument, in turn, and reports as one line of JSON.

local requests, at = {}, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for head in file:read("*a"):gmatch(".-\r\n\r\n") do
    requests[#requests + 1] = head
  end
  file:close()
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\n{"answers":%d,"refused":%d,"broken":%d,"p50":%.3f,"p99":%.3f}\n', summary.requests,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000))
end
