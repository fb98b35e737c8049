-- Lists a user's standing orders; reads only.
--
-- ARGV  user
-- Answers each as JSON.

local user, answer = ARGV[1], {}
for _, place in ipairs(redis.call('SMEMBERS', KEY_ORDERS_OF .. user)) do
    local pool, key = place:match('^(%S+) (%S+)$')
    answer[#answer + 1] = redis.call('HGET', KEY_ORDERS .. pool, user .. ' ' .. key)
end
return answer
