-- What a resolver has to do. Closes the pools whose closing time is past, since that needs nothing else.
--
-- ARGV  who asks, how many of each at most
-- Answers {how many pools were closed, games with events to apply, pools to pay out,
-- how many games have events at all that are not applied}.

local by, limit = ARGV[1], ARGV[2]

local overdue = redis.call('ZRANGE', KEY_CLOSING, '-inf', integer(now_ms), 'BYSCORE', 'LIMIT', 0, limit)
local closed = 0
if #overdue > 0 and not journal_is_full(#overdue * entries_to_close()) then
    for _, pool in ipairs(overdue) do
        local state = redis.call('HMGET', KEY_POOL .. pool, 'game', 'status', 'closes_ms')
        redis.call('ZREM', KEY_CLOSING, pool)
        if state[2] == 'open' and tonumber(state[3] or 0) <= now_ms then
            close_pool(state[1], pool, by)
            closed = closed + 1
        end
    end
end
return {
    closed,
    redis.call('ZRANGE', KEY_WAITING, '-inf', integer(now_ms), 'BYSCORE', 'LIMIT', 0, limit),
    redis.call('SRANDMEMBER', KEY_SETTLING, limit),
    redis.call('ZCARD', KEY_WAITING),
}
