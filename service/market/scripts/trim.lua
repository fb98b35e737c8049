-- Takes entries out of the journal, and says so first.
--
-- ARGV  id of the first entry that stays, its epoch
-- Answers how many entries were taken out.
--
-- It has to run on a server that is full: what it takes is what makes room.

redis.call('SET', KEY_JOURNAL_TRIMMED, ARGV[1] .. ' ' .. ARGV[2])
return redis.call('XTRIM', KEY_JOURNAL, 'MINID', ARGV[1])
