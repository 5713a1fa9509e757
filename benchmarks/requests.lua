-- What wrk asks for: wrk … -s requests.lua URL -- KIND DIRECTORY RECORDS FIRST STEP SEED
--   fixed  the URL as it stands, with the headers of DIRECTORY/headers.txt
--   get    GetLogin of a random company, with the token of DIRECTORY/token.txt
--   miss   GetLogin of a random company, each with the next token of DIRECTORY/tokens.txt, none twice
--   put    SetLogin of a random company, with the token of DIRECTORY/token.txt
-- Requests are put together by hand: wrk.format() costs the client more than an answer costs the service.

local request_end = "\r\n\r\n"
local records, first, step

local function lines_of(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

local function company()
  return string.format("%08d", first + step * math.random(0, records - 1))
end

local make = {}

function make.fixed(host, directory)
  local text = "GET " .. wrk.path .. host
  for _, line in ipairs(lines_of(directory .. "/headers.txt")) do text = text .. "\r\n" .. line end
  text = text .. request_end
  return function() return text end
end

function make.get(host, directory)
  local rest = host .. "\r\nAuthorization: Bearer " .. lines_of(directory .. "/token.txt")[1] .. request_end
  return function() return "GET /v1/Login?cvrNummer=" .. company() .. rest end
end

function make.miss(host, directory)
  local tokens, at = lines_of(directory .. "/tokens.txt"), 0
  local middle = host .. "\r\nAuthorization: Bearer "
  return function()
    at = at + 1
    -- When all are used up the answer is a 401, which fails the run instead of measuring the cache.
    return "GET /v1/Login?cvrNummer=" .. company() .. middle .. (tokens[at] or "none-left") .. request_end
  end
end

function make.put(host, directory)
  local token = lines_of(directory .. "/token.txt")[1]
  local middle = host .. "\r\nAuthorization: Bearer " .. token
    .. "\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n"
    .. '{"VirksomhedsLoginDto":{"cvrNummer":"'
  return function()
    local number = company()
    return "PUT /v1/Login/" .. number .. middle .. number .. '"}}'
  end
end

function init(arguments)
  records, first, step = tonumber(arguments[3]), tonumber(arguments[4]), tonumber(arguments[5])
  math.randomseed(tonumber(arguments[6]))
  request = make[arguments[1]](" HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port, arguments[2])
end

-- One line of JSON for the script that runs wrk; wrk's own words are for people.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"bytes":%d,"bad_status":%d,"socket_errors":%d,"p99_us":%d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(99)))
end
