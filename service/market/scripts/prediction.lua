-- A prediction, whether a user places it now or left a standing order for it.
-- Needs time.lua, journal.lua and friends.lua.

-- A pool's state is a list; these are the places in it.
local GAME, STATUS, OPTIONS_COUNT, CLOSES_MS, FLUSHED_MS, DUE_MS, AUDIENCE, HELD = 1, 2, 3, 4, 5, 6, 7, 8

local function pool_state(pool)
    return redis.call('HMGET', KEY_POOL .. pool, 'game', 'status', 'options_count', 'closes_ms', 'flushed_ms',
        'due_ms', 'audience', 'held')
end

-- Whether it takes no more predictions, whatever happens.
local function is_over(state)
    return state[STATUS] ~= 'open' or state[CLOSES_MS] and tonumber(state[CLOSES_MS]) <= now_ms
end

-- Whether events are told that may decide it, and are not applied yet (turn.lua): nothing may change till then.
local function is_held(state)
    return state[HELD] and state[HELD] ~= '0'
end

local function is_open(state)
    return not is_over(state) and not is_held(state)
end

-- Why a prediction cannot be placed, or nil; and the user's balance.
local function refusal(state, user, game, pool, option, stake)
    if state[GAME] ~= game then
        return redis.call('HEXISTS', KEY_GAMES, game) == 0 and NO_SUCH_GAME or NO_SUCH_POOL
    end
    if state[AUDIENCE] == 'friends' and not is_for(user, 'friends', redis.call('HGET', KEY_POOL .. pool, 'asker')) then
        return NOT_ALLOWED
    end
    if not is_open(state) then
        return POOL_CLOSED
    end
    if tonumber(option) >= tonumber(state[OPTIONS_COUNT]) then
        return NO_SUCH_OPTION
    end
    local balance = redis.call('HGET', KEY_ACCOUNT .. user, 'balance')
    if not balance then
        return NO_SUCH_ACCOUNT
    end
    if tonumber(balance) < tonumber(stake) then
        return INSUFFICIENT_FUNDS
    end
    return nil, balance
end

-- Takes the stake and keeps the receipt, with a mark or ''; answers the journal id and the new balance.
-- The journal is written first: it is the one write that can fail, and nothing has changed before it.
local function predict(user, key, game, pool, option, stake, balance, mark)
    balance = integer(balance - stake)
    local id = journal('prediction', user, 'key', key, 'game', game, 'pool', pool, 'option', option,
        'stake', stake, 'amount', '-' .. stake, 'balance', balance)
    local pool_key = KEY_POOL .. pool
    redis.call('HSET', KEY_ACCOUNT .. user, 'balance', balance)
    redis.call('HINCRBY', pool_key, 'total:' .. option, stake)
    redis.call('HINCRBY', pool_key, 'predictions', 1)
    local row = table.concat({ user, key, option, stake, integer(now_ms) }, ' ')
    local length = redis.call('RPUSH', KEY_BOOK .. pool, row)
    local receipt = table.concat({ game, pool, option, stake }, ' ') .. '|'
        .. table.concat({ epoch, id, balance, integer(length - 1) }, ' ') .. mark
    redis.call('SET', KEY_RECEIPT .. user .. ':' .. key, receipt, 'PX', RECEIPT_LIFETIME_MS)
    return id, balance
end
