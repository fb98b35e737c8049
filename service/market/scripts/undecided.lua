-- The pools of a game that an event of a kind may decide; reads only.
--
-- ARGV  game, kind
-- Answers for each {pool, what decides it as JSON, what it lapses with as JSON, sequence of the last event before it}.

local answer = {}
for position, pool in ipairs(redis.call('SMEMBERS', KEY_UNDECIDED .. ARGV[1] .. ':' .. ARGV[2])) do
    local state = redis.call('HMGET', KEY_POOL .. pool, 'decided_by', 'lapses', 'since')
    answer[position] = { pool, state[1] or '', state[2] or '', state[3] or '-1' }
end
return answer
