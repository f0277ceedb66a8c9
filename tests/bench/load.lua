-- wrk's script: requests from a file, round and round; figures as one line of JSON.
--   wrk ... -s load.lua URL -- REQUESTS_FILE HEADER...
-- A line of the file is "METHOD PATH BODY"; a HEADER is "Name: value".
local requests, count, at = {}, 0, 0

function init(args)
  for i = 2, #args do
    local name, value = args[i]:match("^(.-): (.*)$")
    wrk.headers[name] = value
  end
  for line in io.lines(args[1]) do
    local method, path, body = line:match("^(%S+) (%S+) ?(.*)$")
    count = count + 1
    requests[count] = wrk.format(method, path, nil, body ~= "" and body or nil)
  end
  at = math.random(count)
end

function request()
  at = at % count + 1
  return requests[at]
end

function done(summary, latency)
  local bad = summary.errors.status + summary.errors.connect + summary.errors.read +
              summary.errors.write + summary.errors.timeout
  io.write(string.format(
    '\nJSON {"requests":%d,"seconds":%.6f,"bytes":%d,"bad":%d,"p50_ms":%.4f,"p99_ms":%.4f,"p999_ms":%.4f,"max_ms":%.4f}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, bad, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
