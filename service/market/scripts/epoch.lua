-- Begins a new epoch when this server is not the one that the epoch belongs to.
--
-- Answers {epoch, 1 when it has just begun}.
--
-- A server takes a new replication id when it starts and when it is promoted, and at no other time.

local replid = redis.call('INFO', 'replication'):match('master_replid:(%x+)')
if redis.call('GET', KEY_REPLID) == replid then
    return { redis.call('GET', KEY_EPOCH) or '0', 0 }
end
local now_s = tonumber(redis.call('TIME')[1])
local epoch = string.format('%.0f', math.max(now_s, (redis.call('GET', KEY_EPOCH) or 0) + 1))
redis.call('SET', KEY_EPOCH, epoch)
redis.call('SET', KEY_REPLID, replid)
return { epoch, 1 }
