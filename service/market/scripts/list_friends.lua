-- Lists whom a user has named friends; reads only, so that a replica can answer.
--
-- ARGV  user
-- Answers for each, one after the other, the name and 1 when the other did the same, else 0.

local user, answer = ARGV[1], {}
for _, other in ipairs(redis.call('SMEMBERS', KEY_FRIENDS .. user)) do
    answer[#answer + 1] = other
    answer[#answer + 1] = redis.call('SISMEMBER', KEY_FRIENDS .. other, user)
end
return answer
