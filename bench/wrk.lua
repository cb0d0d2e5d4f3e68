-- Load for one workload. Arguments: method, body, path, path, …
-- With paths, each request takes the next one; without, all use the URL's own.
local paths, turn = {}, 0

function init(args)
  wrk.method = args[1]
  if args[2] ~= "" then
    wrk.body = args[2]
    wrk.headers["Content-Type"] = "application/json"
  end

  local requests = {}
  for i = 3, #args do
    requests[#requests + 1] = wrk.format(nil, args[i])
  end
  paths = requests

  if #paths > 0 then
    request = function()
      turn = turn % #paths + 1
      return paths[turn]
    end
  end
end

-- One line for the parser in wrk.go; wrk's own summary rounds and skips p95.
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    "bench-result requests=%d duration_us=%d status_errors=%d socket_errors=%d p50_us=%d p95_us=%d p99_us=%d\n",
    summary.requests, summary.duration, e.status,
    e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
