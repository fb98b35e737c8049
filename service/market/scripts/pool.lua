-- The life of a pool: what is written and sent whenever its status changes.
-- Needs time.lua, journal.lua, channel.lua and orders.lua.

-- The winners of a pool as JSON's list; a pool has none before it is resolved.
local function winners_of(key)
    return redis.call('HGET', key, 'winners') or '[]'
end

-- Sends a pool's status, question and totals to everyone who joined its game, unless it is among friends.
local function pool_changed(game, pool)
    local key = KEY_POOL .. pool
    local state = redis.call('HMGET', key, 'status', 'question', 'options', 'options_count', 'predictions',
        'audience')
    redis.call('ZREM', KEY_DUE, pool)
    redis.call('HSET', key, 'due_ms', '0')
    if state[6] == 'friends' then
        return
    end
    local offset = publish('pool_changed', game, pool, '"status":"' .. state[1]
        .. '","question":' .. cjson.encode(state[2]) .. ',"options":' .. state[3]
        .. ',"totals":[' .. totals_of(pool, state[4]) .. '],"predictions":' .. state[5]
        .. ',"winners":' .. winners_of(key))
    redis.call('HSET', key, 'epoch', epoch, 'offset', offset, 'flushed_ms', integer(now_ms))
end

-- Entries that closing a pool adds to the journal.
local function entries_to_close()
    return 1
end

-- Takes no more predictions of an open pool; `by` is who asked for it.
local function close_pool(game, pool, by)
    journal('pool', '', 'game', game, 'pool', pool, 'body', '{"status":"closed","by":"' .. by .. '"}')
    redis.call('HSET', KEY_POOL .. pool, 'status', 'closed')
    redis.call('ZREM', KEY_CLOSING, pool)
    pool_changed(game, pool)
    lapse_orders(pool)
end

-- The refusal when a game has no such pool, nil when it has.
local function missing(game, pool)
    if redis.call('HGET', KEY_POOL .. pool, 'game') == game then
        return nil
    end
    if redis.call('HEXISTS', KEY_GAMES, game) == 0 then
        return { NO_SUCH_GAME }
    end
    return { NO_SUCH_POOL }
end
