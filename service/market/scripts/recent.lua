-- Reads where a game's channel stands and the newest pushes; reads only, so that a replica can answer.
--
-- ARGV  game
-- Answers {epoch, offset, newest pushes, oldest first}; an epoch in which nothing was sent yet is at offset 0,
-- and what was sent in the one before is no way to where it stands: writes may have been lost between them.

local epoch = redis.call('GET', KEY_EPOCH) or '0'
local position = redis.call('HMGET', KEY_POSITION .. ARGV[1], 'epoch', 'offset')
if position[1] ~= epoch then
    return { epoch, '0', {} }
end
return { epoch, position[2], redis.call('LRANGE', KEY_HISTORY .. ARGV[1], 0, -1) }
