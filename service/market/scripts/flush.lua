-- Publishes the distribution of a pool that changed, if its last one is at least an interval ago.
--
-- ARGV  flush interval (ms), pool or '' for all that are overdue
-- Answers the ms until the named pool's flush is due, 0 when it has nothing more to send.

local interval_ms, named = tonumber(ARGV[1]), ARGV[2]

local function flush(pool)
    local key = KEY_POOL .. pool
    local state = redis.call('HMGET', key, 'game', 'options_count', 'flushed_ms', 'due_ms', 'predictions')
    if not state[1] or tonumber(state[4]) == 0 then
        redis.call('ZREM', KEY_DUE, pool)
        return 0
    end
    local since_ms = now_ms - tonumber(state[3])
    -- A negative time means that the server's clock was set back: waiting for it could take for ever.
    if since_ms >= 0 and since_ms < interval_ms then
        return interval_ms - since_ms
    end
    local offset = publish('distribution', state[1], pool,
        '"totals":[' .. totals_of(pool, state[2]) .. '],"predictions":' .. state[5])
    redis.call('HSET', key, 'epoch', epoch, 'offset', offset, 'flushed_ms', integer(now_ms), 'due_ms', '0')
    redis.call('ZREM', KEY_DUE, pool)
    return 0
end

if named ~= '' then
    return flush(named)
end
local overdue = redis.call('ZRANGE', KEY_DUE, '-inf', integer(now_ms), 'BYSCORE', 'LIMIT', 0, 100)
for _, pool in ipairs(overdue) do
    flush(pool)
end
return 0
