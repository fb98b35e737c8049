-- When a pool's next distribution goes out. Needs time.lua and prediction.lua.

-- The ms until a pool's distribution is due, -1 when none is; or, with an interval, notes that the pool changed.
local function due_in_ms(pool, state, interval_ms)
    local due_ms, flushed_ms = tonumber(state[DUE_MS] or 0), tonumber(state[FLUSHED_MS] or 0)
    if due_ms > 0 then
        return math.max(0, due_ms - now_ms)
    end
    if not interval_ms then
        return -1
    end
    due_ms = now_ms
    -- A last one in the future means that the server's clock was set back: waiting for it could take for ever.
    if flushed_ms <= now_ms then
        due_ms = math.max(now_ms, flushed_ms + interval_ms)
    end
    redis.call('HSET', KEY_POOL .. pool, 'due_ms', integer(due_ms))
    redis.call('ZADD', KEY_DUE, integer(due_ms), pool)
    return due_ms - now_ms
end
