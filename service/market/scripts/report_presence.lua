-- Notes how many connections of an API process have joined each game.
--
-- ARGV  process, how long a note holds (ms), then game and count by turns
-- Takes out what processes left that report no more.

local process, lifetime_ms = ARGV[1], tonumber(ARGV[2])
for index = 3, #ARGV, 2 do
    local key = KEY_PRESENCE .. ARGV[index]
    local notes = redis.call('HGETALL', key)
    for field = 1, #notes, 2 do
        if now_ms - tonumber(notes[field + 1]:match('%d+$')) > lifetime_ms then
            redis.call('HDEL', key, notes[field])
        end
    end
    if ARGV[index + 1] == '0' then
        redis.call('HDEL', key, process)
    else
        redis.call('HSET', key, process, ARGV[index + 1] .. ' ' .. integer(now_ms))
    end
end
return 0
