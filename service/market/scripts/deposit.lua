-- Adds money to an account, which is made when there is none.
--
-- ARGV  user, amount, key
-- Answers {0 or 1 for a duplicate, epoch, journal id, balance}, or {error code}.

local user, amount, key = unpack(ARGV)
local account, receipt = KEY_ACCOUNT .. user, KEY_RECEIPT .. user .. ':' .. key
local content = 'deposit ' .. amount .. '|'

local kept = redis.call('GET', receipt)
if kept then
    if kept:sub(1, #content) ~= content then
        return { KEY_REUSED }
    end
    local epoch_then, id, balance = kept:match('^(%S+) (%S+) (%S+)', #content + 1)
    return { 1, epoch_then, id, balance }
end
if tonumber(amount) >= MAX_MONEY - (redis.call('GET', KEY_MONEY) or 0) then
    return { CONFLICT }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end

local balance = integer((redis.call('HGET', account, 'balance') or 0) + amount)
local id = journal('deposit', user, 'key', key, 'amount', amount, 'balance', balance)
redis.call('HSET', account, 'balance', balance)
redis.call('HINCRBY', account, 'opening', amount)
redis.call('INCRBY', KEY_MONEY, amount)
redis.call('SET', receipt, content .. table.concat({ epoch, id, balance }, ' '), 'PX', RECEIPT_LIFETIME_MS)
return { 0, epoch, id, balance }
