-- Takes a stake from an account and puts it on an option of a pool: all of it or nothing.
--
-- ARGV  user, game, pool, option, stake, key, flush interval (ms), lifetime of the receipt (ms)
-- Answers {0 or 1 for a duplicate, epoch, journal id, balance, ms until the pool's flush is due}, or {error code}.
--
-- The journal is written first: it is the one write that can fail, and nothing has changed before it.

local user, game, pool, option, stake, key = unpack(ARGV, 1, 6)
local interval_ms, lifetime_ms = tonumber(ARGV[7]), ARGV[8]
local account, pool_key, receipt = KEY_ACCOUNT .. user, KEY_POOL .. pool, KEY_RECEIPT .. user .. ':' .. key
local content = table.concat({ game, pool, option, stake }, ' ') .. '|'

local state = redis.call('HMGET', pool_key, 'game', 'status', 'options_count', 'closes_ms', 'flushed_ms', 'due_ms')
local due_ms = tonumber(state[6] or 0)

local kept = redis.call('GET', receipt)
if kept then
    if kept:sub(1, #content) ~= content then
        return { KEY_REUSED }
    end
    local epoch_then, id, balance = kept:sub(#content + 1):match('^(%S+) (%S+) (%S+)')
    return { 1, epoch_then, id, balance, due_ms > 0 and math.max(0, due_ms - now_ms) or -1 }
end

if state[1] ~= game then
    if redis.call('HEXISTS', KEY_GAMES, game) == 0 then
        return { NO_SUCH_GAME }
    end
    return { NO_SUCH_POOL }
end
if state[2] ~= 'open' or (state[4] and tonumber(state[4]) <= now_ms) then
    return { POOL_CLOSED }
end
if tonumber(option) >= tonumber(state[3]) then
    return { NO_SUCH_OPTION }
end
local balance = redis.call('HGET', account, 'balance')
if not balance then
    return { NO_SUCH_ACCOUNT }
end
if tonumber(balance) < tonumber(stake) then
    return { INSUFFICIENT_FUNDS }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end

balance = integer(balance - stake)
local id = journal('prediction', user, 'key', key, 'game', game, 'pool', pool, 'option', option,
    'stake', stake, 'amount', '-' .. stake, 'balance', balance)
redis.call('HSET', account, 'balance', balance)
redis.call('HINCRBY', pool_key, 'total:' .. option, stake)
redis.call('HINCRBY', pool_key, 'predictions', 1)
local place = redis.call('RPUSH', KEY_BOOK .. pool, table.concat({ user, key, option, stake, integer(now_ms) }, ' '))
redis.call('SET', receipt, content .. table.concat({ epoch, id, balance, integer(place - 1) }, ' '),
    'PX', lifetime_ms)

if due_ms == 0 then
    local flushed_ms = tonumber(state[5])
    due_ms = now_ms
    if flushed_ms <= now_ms then
        due_ms = math.max(now_ms, flushed_ms + interval_ms)
    end
    redis.call('HSET', pool_key, 'due_ms', integer(due_ms))
    redis.call('ZADD', KEY_DUE, integer(due_ms), pool)
end
return { 0, epoch, id, balance, math.max(0, due_ms - now_ms) }
