-- Lists the pools of a game that a user may see, with their totals; reads only, so that a replica can answer.
--
-- ARGV  game, user, or '' for the pools that are for everyone
-- Answers nothing when there is no such game, else for each pool {pool, question, status, options as JSON,
-- predictions, epoch, offset, winners as JSON, asker, audience, closes_ms, total of option 0, ...}.

local game, user = unpack(ARGV)
if redis.call('HEXISTS', KEY_GAMES, game) == 0 then
    return false
end
local answer = {}
for _, pool in ipairs(redis.call('ZRANGE', KEY_GAME .. game .. ':pools', 0, -1)) do
    local key = KEY_POOL .. pool
    local fields = { 'question', 'status', 'options', 'predictions', 'epoch', 'offset',
        'winners', 'asker', 'audience', 'closes_ms' }
    for option = 0, redis.call('HGET', key, 'options_count') - 1 do
        fields[#fields + 1] = 'total:' .. option
    end
    local row = redis.call('HMGET', key, unpack(fields))
    if is_for(user, row[9], row[8]) then
        table.insert(row, 1, pool)
        answer[#answer + 1] = row
    end
end
return answer
