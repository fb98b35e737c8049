-- Lists those whom a user has named friends and who did the same, for a pool that the user may see; reads only.
--
-- ARGV  user, game, pool, how many at most
-- Answers {0, friend, ...}, or {error code}.

local user, game, pool, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local function mutual(one, other)
    return redis.call('SISMEMBER', KEY_FRIENDS .. one, other) == 1
        and redis.call('SISMEMBER', KEY_FRIENDS .. other, one) == 1
end

local state = redis.call('HMGET', KEY_POOL .. pool, 'game', 'audience', 'asker')
if state[1] ~= game then
    if redis.call('HEXISTS', KEY_GAMES, game) == 0 then
        return { NO_SUCH_GAME }
    end
    return { NO_SUCH_POOL }
end
if state[2] == 'friends' and state[3] ~= user and not mutual(state[3], user) then
    return { NO_SUCH_POOL }
end
local answer = { 0 }
for _, friend in ipairs(redis.call('SMEMBERS', KEY_FRIENDS .. user)) do
    if #answer <= most and redis.call('SISMEMBER', KEY_FRIENDS .. friend, user) == 1 then
        answer[#answer + 1] = friend
    end
end
return answer
