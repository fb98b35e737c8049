-- Leaves a standing order.
--
-- ARGV  user, game, pool, option, stake, key, the mark's option, share and passes, the order as JSON,
--       flush interval (ms)
-- Answers {0 or 1 for a duplicate, ms until the pool's flush is due or -1}, or {error code}.
--
-- The receipt says "order ..." while the order waits, without an end; carried out, it is the prediction's with
-- the order's mark; ended, it says how.

local user, game, pool, option, stake, key, mark_option, share, passes, order = unpack(ARGV, 1, 10)
local receipt, member = KEY_RECEIPT .. user .. ':' .. key, user .. ' ' .. key
local prediction, mark = table.concat({ game, pool, option, stake }, ' '), table.concat({ mark_option, share, passes }, ':')
local content = table.concat({ 'order', prediction, mark }, ' ') .. '|'

local kept = redis.call('GET', receipt)
if kept then
    local is_fired = kept:sub(1, #prediction + 1) == prediction .. '|'
        and kept:match(' order=(%S+)') == mark and not kept:find(' cancelled=', 1, true)
    if kept == content or is_fired then
        return { 1, -1 }
    end
    return { KEY_REUSED }
end
local state = pool_state(pool)
local code = refusal(state, user, game, pool, option, stake)
if code then
    return { code }
end
if tonumber(mark_option) >= tonumber(state[OPTIONS_COUNT]) then
    return { NO_SUCH_OPTION }
end
if redis.call('SCARD', KEY_ORDERS_OF .. user) >= MAX_ORDERS_PER_USER
    or redis.call('HLEN', KEY_ORDERS .. pool) >= MAX_ORDERS_PER_POOL then
    return { TOO_MANY_REQUESTS }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end

journal('order', user, 'key', key, 'game', game, 'pool', pool, 'option', option, 'stake', stake, 'body', order)
redis.call('HSET', KEY_ORDERS .. pool, member, order)
redis.call('ZADD', marks(pool, passes, mark_option), share, member)
redis.call('SADD', KEY_ORDERS_OF .. user, pool .. ' ' .. key)
redis.call('SET', receipt, content)

local present = shares(pool, tonumber(state[OPTIONS_COUNT]))
local is_met = present and (passes == 'at_least' and tonumber(share) <= present[tonumber(mark_option)].at_least
    or passes == 'at_most' and tonumber(share) >= present[tonumber(mark_option)].at_most)
if not is_met then
    return { 0, -1 }
end
return { 0, due_in_ms(pool, state, tonumber(ARGV[11])) }
