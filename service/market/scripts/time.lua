-- The server's clock: now_ms as a number, published_us as the digits of microseconds since 1970.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local published_us = string.format('%s%06d', time[1], tonumber(time[2]))

local function integer(value)
    return string.format('%.0f', value)
end
