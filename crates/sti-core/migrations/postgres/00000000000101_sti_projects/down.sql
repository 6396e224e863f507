-- The tables may be the application's own and hold its rows: taking this migration back leaves them there.
-- `sti-migrate up` finds and adopts them again.
SELECT 1;
