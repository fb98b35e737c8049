-- The pools of a game that an event may decide; reads only.
--
-- ARGV  game
-- Answers for each {pool, what decides it as JSON, what it lapses with as JSON, sequence of the last event before it}.

local answer = {}
for _, pool in ipairs(redis.call('ZRANGE', KEY_GAME .. ARGV[1] .. ':pools', 0, -1)) do
    local state = redis.call('HMGET', KEY_POOL .. pool, 'status', 'decided_by', 'lapses', 'since')
    if (state[1] == 'open' or state[1] == 'closed') and (state[2] or state[3]) then
        answer[#answer + 1] = { pool, state[2] or '', state[3] or '', state[4] or '-1' }
    end
end
return answer
