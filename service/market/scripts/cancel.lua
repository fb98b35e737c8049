-- Gives a stake back and takes the prediction out of its pool, while the pool is open and the grace time lasts.
--
-- ARGV  user, game, pool, key, flush interval (ms)
-- Answers {0 or 1 for a duplicate, epoch, journal id, balance, ms until the pool's flush is due}, or {error code}.
--
-- The receipt of the placement keeps that of the cancellation: the key stays used, and a repeat is known.

local user, game, pool, key = unpack(ARGV, 1, 4)
local pool_key, receipt = KEY_POOL .. pool, KEY_RECEIPT .. user .. ':' .. key
local state = pool_state(pool)
if state[GAME] ~= game then
    return { redis.call('HEXISTS', KEY_GAMES, game) == 0 and NO_SUCH_GAME or NO_SUCH_POOL }
end

local kept = redis.call('GET', receipt) or ''
local game_then, pool_then, option, stake, index = kept:match('^([^ |]+) ([^ |]+) (%d+) (%d+)|%S+ %S+ %S+ (%d+)')
if game_then ~= game or pool_then ~= pool then
    return { NO_SUCH_PREDICTION }
end
local epoch_then, id, balance = kept:match(' cancelled=([^:]+):([^:]+):(%d+)')
if id then
    return { 1, epoch_then, id, balance, due_in_ms(pool, state) }
end
local row = redis.call('LINDEX', KEY_BOOK .. pool, index) or ''
local placed_ms = row:match('^' .. table.concat({ user, key, option, stake }, ' '):gsub('%-', '%%-') .. ' (%d+)$')
if not placed_ms then
    return { NO_SUCH_PREDICTION }
end
if not is_open(state) then
    return { POOL_CLOSED }
end
local grace_ms, moved = unpack(redis.call('HMGET', pool_key, 'grace_ms', 'moved'))
-- A stake that was there when standing orders were set off stays: nobody moves a mark for others and takes it back.
if now_ms - tonumber(placed_ms) > tonumber(grace_ms or GRACE_MS_DEFAULT)
    or tonumber(index) < tonumber(moved or 0) then
    return { TOO_LATE }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end

balance = integer(redis.call('HGET', KEY_ACCOUNT .. user, 'balance') + stake)
id = journal('cancellation', user, 'key', key, 'game', game, 'pool', pool, 'option', option,
    'stake', stake, 'amount', stake, 'balance', balance)
redis.call('HSET', KEY_ACCOUNT .. user, 'balance', balance)
redis.call('HINCRBY', pool_key, 'total:' .. option, '-' .. stake)
redis.call('HINCRBY', pool_key, 'predictions', -1)
redis.call('LSET', KEY_BOOK .. pool, index, '')
redis.call('SET', receipt, kept .. ' cancelled=' .. table.concat({ epoch, id, balance }, ':'),
    'PX', RECEIPT_LIFETIME_MS)
return { 0, epoch, id, balance, due_in_ms(pool, state, tonumber(ARGV[5])) }
