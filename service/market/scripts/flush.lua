-- Publishes the distribution of a pool that changed, if its last one is at least an interval ago, and carries
-- out the standing orders whose mark it passes.
--
-- ARGV  flush interval (ms), pool or '' for all that are overdue
-- Answers the ms until there is more to do for the named pool, or for any overdue one; 0 when there is not.

local interval_ms, named = tonumber(ARGV[1]), ARGV[2]
local orders_left = ORDERS_BATCH

local function flush(pool)
    local key = KEY_POOL .. pool
    local state = redis.call('HMGET', key, 'game', 'options_count', 'flushed_ms', 'due_ms', 'predictions')
    if not state[1] then
        redis.call('ZREM', KEY_DUE, pool)
        return 0
    end
    local due_ms, has_moved = tonumber(state[4]), false
    if due_ms > 0 then
        local since_ms = now_ms - tonumber(state[3])
        -- A negative time means that the server's clock was set back: waiting for it could take for ever.
        if since_ms >= 0 and since_ms < interval_ms then
            due_ms = now_ms - since_ms + interval_ms
        else
            local offset = publish('distribution', state[1], pool,
                '"totals":[' .. totals_of(pool, state[2]) .. '],"predictions":' .. state[5])
            redis.call('HSET', key, 'epoch', epoch, 'offset', offset or '0', 'flushed_ms', integer(now_ms),
                'due_ms', '0')
            due_ms, has_moved = 0, true
        end
    end
    if redis.call('EXISTS', KEY_ORDERS .. pool) == 1 then
        local seen, again_ms = see_to_orders(pool, interval_ms, orders_left, has_moved)
        orders_left = orders_left - seen
        if again_ms > 0 then
            redis.call('ZADD', KEY_DUE, integer(now_ms + again_ms), pool)
            return again_ms
        end
        due_ms = tonumber(redis.call('HGET', key, 'due_ms'))
    end
    if due_ms > 0 then
        redis.call('ZADD', KEY_DUE, integer(due_ms), pool)
        return math.max(1, due_ms - now_ms)
    end
    redis.call('ZREM', KEY_DUE, pool)
    return 0
end

if named ~= '' then
    return flush(named)
end
local least_ms = 0
for _, pool in ipairs(redis.call('ZRANGE', KEY_DUE, '-inf', integer(now_ms), 'BYSCORE', 'LIMIT', 0, 100)) do
    if orders_left <= 0 then
        return 1
    end
    local again_ms = flush(pool)
    if again_ms > 0 and (least_ms == 0 or again_ms < least_ms) then
        least_ms = again_ms
    end
end
return least_ms
