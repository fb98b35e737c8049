-- Withdraws a standing order.
--
-- ARGV  user, pool, key
-- Answers {0 or 1 for a duplicate}, or {error code}.

local user, pool, key = unpack(ARGV)
local member = user .. ' ' .. key

local kept = redis.call('HGET', KEY_ORDERS .. pool, member)
if not kept then
    local receipt = redis.call('GET', KEY_RECEIPT .. user .. ':' .. key)
    return { receipt == 'order_cancelled ' .. pool .. '|' and 1 or NO_SUCH_ORDER }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end
end_order('order_cancelled', member, cjson.decode(kept))
redis.call('LREM', orders_met(pool), 1, member)
return { 0 }
