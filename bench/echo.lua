-- Makes wrk measure an echo server. wrk wants HTTP, so the request is the text of a response: the
-- echo of it is a response that wrk parses, counts and times. The first request of a thread has to
-- be an ordinary one, because wrk looks at it before it starts; after that it may be any bytes.
--
--   wrk -s echo.lua http://127.0.0.1:PORT -- SIZE PIPELINE
local message
local first = true

function init(args)
  local size = tonumber(args[1])
  local head = "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
  -- The length of the head depends on the number of digits in it.
  local body = size
  while #string.format(head, body) + body > size and body > 0 do
    body = body - 1
  end
  local text = string.format(head, body) .. string.rep("x", body)
  -- One byte may be missing where a digit more in the head made it longer than it had to be.
  message = string.rep(text, tonumber(args[2]))
end

function request()
  if first then
    first = false
    return wrk.format("GET", "/")
  end
  return message
end

function done(summary, latency, requests)
  io.write(string.format(
    '{"messages":%d,"seconds":%.6f,"p50_us":%.1f,"p99_us":%.1f,"p999_us":%.1f,"errors":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.status + summary.errors.timeout))
end
