-- Takes a stake from an account and puts it on an option of a pool: all of it or nothing.
--
-- KEYS  account, pool, receipt, journal, due, games
-- ARGV  user, game, pool, option, stake, key, flush interval (ms), lifetime of the receipt (ms)
-- Answers {0 or 1 for a duplicate, epoch, journal id, balance, ms until the pool's flush is due}, or {error code}.
--
-- The journal is written first: it is the one write that can fail, and nothing has changed before it.

local user, game, pool, option, stake, key = unpack(ARGV, 1, 6)
local interval_ms, lifetime_ms = tonumber(ARGV[7]), ARGV[8]
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local content = table.concat({ game, pool, option, stake }, ' ') .. '|'

local state = redis.call('HMGET', KEYS[2], 'game', 'status', 'options_count', 'epoch', 'flushed_ms', 'due_ms')
local due_ms = tonumber(state[6] or 0)

local kept = redis.call('GET', KEYS[3])
if kept then
    if kept:sub(1, #content) ~= content then
        return { KEY_REUSED }
    end
    local epoch, id, balance = kept:sub(#content + 1):match('^(%S+) (%S+) (%S+)$')
    return { 1, epoch, id, balance, due_ms > 0 and math.max(0, due_ms - now_ms) or -1 }
end

if state[1] ~= game then
    if redis.call('HEXISTS', KEYS[6], game) == 0 then
        return { NO_SUCH_GAME }
    end
    return { NO_SUCH_POOL }
end
if state[2] ~= 'open' then
    return { POOL_CLOSED }
end
if tonumber(option) >= tonumber(state[3]) then
    return { NO_SUCH_OPTION }
end
local balance = redis.call('HGET', KEYS[1], 'balance')
if not balance then
    return { NO_SUCH_ACCOUNT }
end
if tonumber(balance) < tonumber(stake) then
    return { INSUFFICIENT_FUNDS }
end

local epoch = state[4]
local id = redis.call('XADD', KEYS[4], '*', 'user', user, 'key', key, 'game', game, 'pool', pool,
    'option', option, 'stake', stake, 'epoch', epoch)
balance = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'balance', '-' .. stake))
redis.call('HINCRBY', KEYS[2], 'total:' .. option, stake)
redis.call('HINCRBY', KEYS[2], 'predictions', 1)
redis.call('SET', KEYS[3], content .. epoch .. ' ' .. id .. ' ' .. balance, 'PX', lifetime_ms)

if due_ms == 0 then
    local flushed_ms = tonumber(state[5])
    due_ms = now_ms
    if flushed_ms <= now_ms then
        due_ms = math.max(now_ms, flushed_ms + interval_ms)
    end
    local due = string.format('%.0f', due_ms)
    redis.call('HSET', KEYS[2], 'due_ms', due)
    redis.call('ZADD', KEYS[5], due, pool)
end
return { 0, epoch, id, balance, math.max(0, due_ms - now_ms) }
