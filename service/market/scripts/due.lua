-- When a pool's next distribution goes out. Needs time.lua.

-- Notes that a pool changed; answers when its distribution is due (ms since 1970).
local function changed(pool, flushed_ms, due_ms, interval_ms)
    if due_ms > 0 then
        return due_ms
    end
    due_ms = now_ms
    -- A last one in the future means that the server's clock was set back: waiting for it could take for ever.
    if flushed_ms <= now_ms then
        due_ms = math.max(now_ms, flushed_ms + interval_ms)
    end
    redis.call('HSET', KEY_POOL .. pool, 'due_ms', integer(due_ms))
    redis.call('ZADD', KEY_DUE, integer(due_ms), pool)
    return due_ms
end
