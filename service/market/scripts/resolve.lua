-- Fixes the outcome of a pool, once: it is closed, and its winners and what they share are written down.
--
-- ARGV  who asks, game, pool, winners as JSON ([] to void it), their number, each winner ...,
--       the event that decides it or '', and, when they are known, total, total of the winners,
--       'winnings' or 'refund', net, takeout (minor units)
-- Answers {'done'}, {'duplicate'}, {'out_of_turn'}, {'totals', total, total of the winners, takeout (permille)}
-- when these have to be given, or {error code}.
--
-- A product of two amounts is not exact in Lua: net and takeout are computed by who calls, from the totals that
-- are compared here. A closed pool's totals do not change, so that the second call finds those of the first.

local by, game, pool, winners = unpack(ARGV, 1, 4)
local event = ARGV[6 + ARGV[5]]
local given_total, given_winning, pays, net, taken = unpack(ARGV, 7 + ARGV[5])
local key = KEY_POOL .. pool

local refusal = missing(game, pool)
if refusal then
    return refusal
end
local state = redis.call('HMGET', key, 'status', 'options_count', 'takeout', 'winners')
local status = state[1]
if status ~= 'open' and status ~= 'closed' then
    return { state[4] == winners and 'duplicate' or CONFLICT }
end
if not has_its_turn(game, event) then
    return { 'out_of_turn' }
end
local total, winning = 0, 0
for option = 0, state[2] - 1 do
    total = total + redis.call('HGET', key, 'total:' .. integer(option))
end
for index = 6, 5 + ARGV[5] do
    if tonumber(ARGV[index]) >= tonumber(state[2]) then
        return { NO_SUCH_OPTION }
    end
    winning = winning + redis.call('HGET', key, 'total:' .. ARGV[index])
end
if journal_is_full(entries_to_close() + 1) then
    return { JOURNAL_FULL }
end

if status == 'open' then
    close_pool(game, pool, by)
end
if given_total ~= integer(total) or given_winning ~= integer(winning) then
    return { 'totals', integer(total), integer(winning), state[3] or '0' }
end
journal('pool', '', 'game', game, 'pool', pool, 'body', '{"status":"resolving","winners":' .. winners
    .. ',"pays":"' .. pays .. '","net":' .. net .. ',"takeout":' .. taken
    .. ',"by":"' .. by .. '","event":"' .. event .. '"}')
redis.call('HSET', key, 'status', 'resolving', 'winners', winners, 'pays', pays, 'net', net, 'taken', taken,
    'paid', '0', 'cursor', '0')
index('SREM', game, pool, unpack(redis.call('HMGET', key, 'decided_by', 'lapses')))
redis.call('SADD', KEY_SETTLING, pool)
return { 'done' }
