-- Writes batches of commands to the journal, one entry each, once.
--
-- ARGV  API process, number of the call (they rise), body, ...
-- Answers {0}, or {JOURNAL_FULL}: nothing was written, send them again. Either way it is noted that the process
-- is alive; a number that does not rise shows that something waits.
--
-- A batch holds many commands, so that counting entries does not bound the memory: the journal's size is
-- reckoned from its nodes, which are about 4 KiB each.

local NODE_BYTES, LEAST_BYTES = 4096, 1048576

local function is_large()
    if redis.call('EXISTS', KEY_JOURNAL) == 0 then
        return false
    end
    local limit = tonumber(redis.call('GET', KEY_JOURNAL_LIMIT) or JOURNAL_LIMIT_DEFAULT)
    local info = redis.call('XINFO', 'STREAM', KEY_JOURNAL)
    for index = 1, #info, 2 do
        if info[index] == 'radix-tree-keys' then
            return info[index + 1] * NODE_BYTES > math.max(LEAST_BYTES, limit * JOURNAL_ENTRY_BYTES)
        end
    end
    return false
end

local process, number = ARGV[1], tonumber(ARGV[2])
local kept = redis.call('HGET', KEY_AUDITORS, process)
if #ARGV > 2 and not (kept and tonumber(kept:match('^%d+')) >= number) then
    if journal_is_full(#ARGV - 2) or is_large() then
        if kept then
            redis.call('HSET', KEY_AUDITORS, process, kept:match('^%d+') .. ' ' .. integer(now_ms))
        end
        return { JOURNAL_FULL }
    end
    for index = 3, #ARGV do
        journal('command', '', 'body', ARGV[index])
    end
end
redis.call('HSET', KEY_AUDITORS, process, integer(number) .. ' ' .. integer(now_ms))
return { 0 }
