-- Pays a part of a pool's book, once: the cursor says which part is next, and whoever comes with another is late.
--
-- ARGV  pool, cursor, how many predictions to answer, and what each prediction from the cursor on is paid
--       (minor units, '' for one that was cancelled)
-- Answers {'pay', cursor, prediction from there on ...}, {'settled'}, {'elsewhere'} when the cursor is another,
-- or {error code}.

local pool, cursor, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])
local key, book = KEY_POOL .. pool, KEY_BOOK .. pool
local amounts = #ARGV - 3

local state = redis.call('HMGET', key, 'game', 'status', 'cursor', 'pays', 'net', 'taken', 'paid', 'winners',
    'options_count')
if state[2] ~= 'resolving' or state[3] ~= cursor then
    return { 'elsewhere' }
end
local game, pays = state[1], state[4]

local entries, paid = 1, 0
for index = 4, #ARGV do
    local amount = tonumber(ARGV[index] ~= '' and ARGV[index] or 0)
    if amount > 0 then
        entries, paid = entries + 1, paid + amount
    end
end
paid = paid + state[7]
if paid > tonumber(state[5]) then
    return { INTERNAL }
end
if journal_is_full(entries) then
    return { JOURNAL_FULL }
end

local kind = pays == 'refund' and 'refund' or 'winnings'
local predictions = amounts > 0 and redis.call('LRANGE', book, cursor, cursor + amounts - 1) or {}
if #predictions ~= amounts then
    return { INTERNAL }
end
for index, prediction in ipairs(predictions) do
    local amount = ARGV[3 + index]
    if (amount == '') ~= (prediction == '') then
        return { INTERNAL }
    end
end
for index, prediction in ipairs(predictions) do
    local amount = ARGV[3 + index]
    if amount ~= '' and amount ~= '0' then
        local user, its_key, option, stake = prediction:match('^(%S+) (%S+) (%S+) (%S+)')
        local account = KEY_ACCOUNT .. user
        local balance = integer((redis.call('HGET', account, 'balance') or 0) + amount)
        journal(kind, user, 'key', its_key, 'game', game, 'pool', pool, 'option', option, 'stake', stake,
            'amount', amount, 'balance', balance)
        redis.call('HSET', account, 'balance', balance)
    end
end

cursor = integer(cursor + amounts)
if tonumber(cursor) < redis.call('LLEN', book) then
    if amounts > 0 then
        redis.call('HSET', key, 'cursor', cursor, 'paid', integer(paid))
    end
    return { 'pay', cursor, unpack(redis.call('LRANGE', book, cursor, cursor + limit - 1)) }
end

local total = 0
for option = 0, state[9] - 1 do
    total = total + redis.call('HGET', key, 'total:' .. integer(option))
end
local status = state[8] == '[]' and 'voided' or 'resolved'
local remainder = integer(total - state[6] - paid)
journal('pool', '', 'game', game, 'pool', pool, 'body', '{"status":"' .. status .. '","winners":' .. state[8]
    .. ',"net":' .. state[5] .. ',"paid":' .. integer(paid) .. ',"takeout":' .. state[6]
    .. ',"remainder":' .. remainder .. '}')
redis.call('HSET', key, 'status', status, 'cursor', cursor, 'paid', integer(paid), 'remainder', remainder)
redis.call('SREM', KEY_SETTLING, pool)
pool_changed(game, pool)
return { 'settled' }
