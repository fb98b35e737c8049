-- Takes what happened in a match, each event once, whenever and how often it comes.
--
-- ARGV  who says it, game, id, sequence, the event as JSON but for its time, its time (ms since 1970), its kind
-- Answers {'done'}, {'duplicate'}, or {error code}.

local by, game, id, sequence, event, at_ms, kind = unpack(ARGV)
local seen, feed, apply = KEY_SEEN .. game, KEY_FEED .. game, KEY_APPLY .. game

local known = redis.call('HGET', seen, id)
if known then
    return { known:match('^%S+ %S+ (.*)$') == event and 'duplicate' or EXISTS }
end
if redis.call('HEXISTS', KEY_GAMES, game) == 0 then
    return { NO_SUCH_GAME }
end
if redis.call('HLEN', seen) >= MAX_EVENTS then
    return { CONFLICT }
end
if journal_is_full() then
    return { JOURNAL_FULL }
end
journal('event', '', 'game', game, 'body', '{"by":"' .. by .. '","at_ms":' .. at_ms .. ',"event":' .. event .. '}')
redis.call('HSET', seen, id, integer(now_ms) .. ' ' .. at_ms .. ' ' .. event)
redis.call('ZADD', apply, sequence, id)
if tonumber(sequence) > tonumber(redis.call('HGET', feed, 'received') or -1) then
    redis.call('HSET', feed, 'received', sequence)
end
redis.call('ZADD', KEY_WAITING, integer(now_ms), game)
redis.call('XADD', KEY_EVENTS, 'MAXLEN', '~', MAX_EVENTS, '*', 'game', game, 'event', event)
hold_decidable(game, id, kind, sequence)
for _, key in ipairs({ seen, feed, apply }) do
    redis.call('PEXPIRE', key, EVENT_LIFETIME_MS)
end
return { 'done' }
