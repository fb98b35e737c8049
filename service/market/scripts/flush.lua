-- Publishes the distribution of a pool that changed, if its last one is at least an interval ago.
--
-- KEYS  due
-- ARGV  prefix of the pools' keys, prefix of the channels, flush interval (ms), pool or '' for all that are overdue
-- Answers the ms until the named pool's flush is due, 0 when it has nothing more to send.

local pool_prefix, channel_prefix, interval_ms, named = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local published_us = string.format('%s%06d', time[1], tonumber(time[2]))

local function flush(pool)
    local key = pool_prefix .. pool
    local state = redis.call('HMGET', key, 'game', 'options_count', 'epoch', 'flushed_ms', 'due_ms', 'predictions')
    if not state[1] or tonumber(state[5]) == 0 then
        redis.call('ZREM', KEYS[1], pool)
        return 0
    end
    local since_ms = now_ms - tonumber(state[4])
    -- A negative time means that the server's clock was set back: waiting for it could take for ever.
    if since_ms >= 0 and since_ms < interval_ms then
        return interval_ms - since_ms
    end
    local fields = {}
    for option = 1, tonumber(state[2]) do
        fields[option] = 'total:' .. (option - 1)
    end
    local totals = table.concat(redis.call('HMGET', key, unpack(fields)), ',')
    local offset = string.format('%.0f', redis.call('HINCRBY', key, 'offset', 1))
    redis.call('HSET', key, 'flushed_ms', string.format('%.0f', now_ms), 'due_ms', '0')
    redis.call('ZREM', KEYS[1], pool)
    redis.call('PUBLISH', channel_prefix .. state[1], '{"type":"distribution","game":"' .. state[1]
        .. '","pool":"' .. pool .. '","epoch":' .. state[3] .. ',"offset":' .. offset
        .. ',"published_us":' .. published_us .. ',"totals":[' .. totals
        .. '],"predictions":' .. state[6] .. '}')
    return 0
end

if named ~= '' then
    return flush(named)
end
local overdue = redis.call('ZRANGE', KEYS[1], '-inf', string.format('%.0f', now_ms), 'BYSCORE', 'LIMIT', 0, 100)
for _, pool in ipairs(overdue) do
    flush(pool)
end
return 0
