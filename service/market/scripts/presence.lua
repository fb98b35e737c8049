-- Counts the connections that have joined a game; reads only, so that a replica can answer.
--
-- ARGV  game, how long a process's note holds (ms)
-- Answers nothing when there is no such game.

if redis.call('HEXISTS', KEY_GAMES, ARGV[1]) == 0 then
    return false
end
local count = 0
for _, note in ipairs(redis.call('HVALS', KEY_PRESENCE .. ARGV[1])) do
    local connections, seen_ms = note:match('^(%d+) (%d+)$')
    if now_ms - tonumber(seen_ms) <= tonumber(ARGV[2]) then
        count = count + tonumber(connections)
    end
end
return count
