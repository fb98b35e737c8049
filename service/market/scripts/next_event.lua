-- The first of a game's events that are not applied, if it has its turn, after another one was applied.
--
-- ARGV  game, how long an event waits for those before it (ms), id of the event that was applied or ''
-- Answers {'apply', event as JSON, its time, when it arrived}, {'wait'}, or {'none'}.
--
-- An event waits for one that is missing before it. Feeds may leave out numbers, so it does not wait for ever.

local game, window_ms, applied_id = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local seen, feed, apply = KEY_SEEN .. game, KEY_FEED .. game, KEY_APPLY .. game

local applied = tonumber(redis.call('HGET', feed, 'applied') or 0)
if applied_id ~= '' and has_its_turn(game, applied_id) then
    applied = math.max(applied, tonumber(redis.call('ZSCORE', apply, applied_id)))
    redis.call('ZREM', apply, applied_id)
    release(game, applied_id)
    redis.call('HSET', feed, 'applied', integer(applied))
end
while true do
    local first = redis.call('ZRANGE', apply, 0, 0, 'WITHSCORES')
    if #first == 0 then
        redis.call('ZREM', KEY_WAITING, game)
        return { 'none' }
    end
    local known = redis.call('HGET', seen, first[1])
    if known then
        local arrived_ms, at_ms, event = known:match('^(%S+) (%S+) (.*)$')
        local waited_ms = now_ms - arrived_ms
        -- A negative time means that the server's clock was set back.
        if tonumber(first[2]) <= applied + 1 or waited_ms >= window_ms or waited_ms < 0 then
            redis.call('ZADD', KEY_WAITING, integer(now_ms), game)
            return { 'apply', event, at_ms, arrived_ms }
        end
        redis.call('ZADD', KEY_WAITING, integer(arrived_ms + window_ms), game)
        return { 'wait' }
    end
    redis.call('ZREM', apply, first[1])
    release(game, first[1])
end
