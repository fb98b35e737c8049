-- Lists a game's pools with their totals; reads only, so that a replica can answer.
--
-- ARGV  game, key of the game's pools
-- Answers nothing when there is no such game, else for each pool {pool, question, status, options as JSON,
-- predictions, epoch, offset, winners as JSON, asker, audience, closes_ms, total of option 0, ...}.

if redis.call('HEXISTS', KEY_GAMES, ARGV[1]) == 0 then
    return false
end
local answer = {}
for index, pool in ipairs(redis.call('ZRANGE', ARGV[2], 0, -1)) do
    local key = KEY_POOL .. pool
    local fields = { 'question', 'status', 'options', 'predictions', 'epoch', 'offset',
        'winners', 'asker', 'audience', 'closes_ms' }
    for option = 0, redis.call('HGET', key, 'options_count') - 1 do
        fields[#fields + 1] = 'total:' .. option
    end
    local row = redis.call('HMGET', key, unpack(fields))
    table.insert(row, 1, pool)
    answer[index] = row
end
return answer
