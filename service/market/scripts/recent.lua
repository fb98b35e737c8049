-- Reads where a game's channel stands and the newest pushes; reads only, so that a replica can answer.
--
-- ARGV  game
-- Answers {epoch, offset, newest pushes, oldest first}; ('0', '0') when nothing was ever sent.

local position = redis.call('HMGET', KEY_POSITION .. ARGV[1], 'epoch', 'offset')
return { position[1] or '0', position[2] or '0', redis.call('LRANGE', KEY_HISTORY .. ARGV[1], 0, -1) }
