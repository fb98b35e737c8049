-- Lists a game's pools with their totals; reads only, so that a replica can answer.
--
-- KEYS  games, the game's pools
-- ARGV  game, prefix of the pools' keys
-- Answers nothing when there is no such game, else for each pool
-- {pool, question, status, options as JSON, predictions, epoch, offset, total of option 0, ...}.

if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
    return false
end
local answer = {}
for index, pool in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    local key = ARGV[2] .. pool
    local fields = { 'question', 'status', 'options', 'predictions', 'epoch', 'offset' }
    for option = 0, redis.call('HGET', key, 'options_count') - 1 do
        fields[#fields + 1] = 'total:' .. option
    end
    local row = redis.call('HMGET', key, unpack(fields))
    table.insert(row, 1, pool)
    answer[index] = row
end
return answer
